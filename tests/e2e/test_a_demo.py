"""The demo, on a system that runs: its cards are written by the local LLM, through all five services, over Kafka."""

import re
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.e2e.whole_system import Done, WholeSystem

pytestmark = [pytest.mark.stack, pytest.mark.llm, pytest.mark.timeout(300)]

JOBS = 3
# Each written by another service: relay, prompt_engine, model_layer, output_validation, and the relay again.
HOPS = ("steps.standard", "prompts.standard", "completions", "verdicts", "outputs")


async def ends(system: WholeSystem, topics: Sequence[str]) -> dict[str, int]:
    """How many records were ever written to each topic (transaction markers count too)."""
    async with AIOKafkaConsumer(bootstrap_servers=system.kafka) as consumer:
        found = {}
        for topic in topics:
            numbers = await consumer._client._wait_on_metadata(f"headrace.{topic}")
            partitions = [TopicPartition(f"headrace.{topic}", number) for number in numbers]
            found[topic] = sum((await consumer.end_offsets(partitions)).values())
        return found


@pytest.fixture(scope="module")
async def demo(system: WholeSystem) -> tuple[Done, dict[str, int], dict[str, int]]:
    before = await ends(system, HOPS)
    done = await system.headrace("demo", "--jobs", str(JOBS))
    return done, before, await ends(system, HOPS)


async def demo_jobs(system: WholeSystem) -> list[dict[str, object]]:
    page = await system.get("/jobs", recipe="package-card")
    found: list[dict[str, object]] = page["jobs"]
    return found


async def test_the_demo_shows_cards_counts_a_search_a_record_and_how_to_go_on(
    demo: tuple[Done, dict[str, int], dict[str, int]],
) -> None:
    done, _, _ = demo

    assert done.code == 0, done.err + done.out
    assert "shows the pipeline, not quality" in done.out
    assert "Using the Headrace that runs on" in done.out
    counts = re.search(r"(\d+) jobs: (\d+) accepted at first, (\d+) after a re-ask, (\d+) rejected", done.out)
    assert counts is not None
    jobs, *endings = map(int, counts.groups())
    assert jobs == sum(endings) == JOBS
    assert re.search(r"/api/v1/search\?q=.* found", done.out)
    assert "ce_type: headrace.output" in done.out
    assert "headrace consume outputs" in done.out


async def test_every_card_passed_every_topic_between_the_services(
    system: WholeSystem, demo: tuple[Done, dict[str, int], dict[str, int]]
) -> None:
    _, before, after = demo

    assert all(after[hop] - before[hop] >= JOBS for hop in HOPS), (before, after)


async def test_every_card_is_paid_for_in_the_ledger_by_a_call_to_the_local_model(
    system: WholeSystem, demo: tuple[Done, dict[str, int], dict[str, int]]
) -> None:
    jobs = await demo_jobs(system)

    assert len(jobs) == JOBS
    for job in jobs:
        attempts = await system.attempts(str(job["id"]))
        assert attempts
        assert {(attempt["deployment"], attempt["state"]) for attempt in attempts} == {("smollm2-135m", "answered")}
        assert all(attempt["input_tokens"] > 0 and attempt["output_tokens"] > 0 for attempt in attempts)
        assert all(attempt["latency_ms"] > 0 and attempt["cost_usd"] == "0.000000000" for attempt in attempts)


async def test_the_raw_answers_of_the_model_are_kept(
    system: WholeSystem, demo: tuple[Done, dict[str, int], dict[str, int]]
) -> None:
    rows = await system.rows("select raw from attempts where deployment = 'smollm2-135m'")

    assert len(rows) >= JOBS
    assert all(b'"choices"' in row["raw"] for row in rows)


async def test_a_model_of_ones_own_is_not_slipped_under_a_running_system(system: WholeSystem) -> None:
    refused = await system.headrace("demo", "--model", "any", "--base-url", "http://127.0.0.1:9/v1")

    assert refused.code == 1
    assert "headrace down" in refused.err
