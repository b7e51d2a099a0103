"""The client commands on a running system: tables for people, JSON for programs, plain words for what is wrong."""

import asyncio
import json

import pytest

from tests.e2e.whole_system import WholeSystem

pytestmark = pytest.mark.stack


async def test_one_object_is_one_job_and_its_output_is_printed(system: WholeSystem) -> None:
    done = await system.headrace("submit", "note", "-", "--wait", "--tag", "blue", stdin=b'{"text": "a"}')

    assert done.code == 0, done.err
    assert "succeeded" in done.out
    assert "answered" in done.out


async def test_an_array_and_lines_are_batches(system: WholeSystem) -> None:
    array = await system.headrace_json("submit", "note", "-", "--wait", stdin=b'[{"text": "a"}, {"text": "b"}]')
    lines = await system.headrace_json("submit", "note", "-", stdin=b'{"text": "c"}\n\n{"text": "d"}\n')

    assert [job["state"] for job in array] == ["succeeded", "succeeded"]
    assert lines["total"] == 2
    await system.ended(lines["jobs"])
    shown = await system.headrace("jobs", lines["id"])
    assert "2 jobs: 2 succeeded" in shown.out


async def test_the_same_key_gives_the_same_job(system: WholeSystem) -> None:
    arguments = ("submit", "note", "-", "--idempotency-key", "cli-1")
    first = await system.headrace_json(*arguments, stdin=b'{"text": "once"}')
    again = await system.headrace_json(*arguments, stdin=b'{"text": "once"}')
    other = await system.headrace(*arguments, stdin=b'{"text": "another"}')

    assert first["id"] == again["id"]
    assert other.code == 1
    assert "(idempotency_key_reuse)" in other.err


async def test_faults_are_told_with_their_place_and_nothing_is_accepted(system: WholeSystem) -> None:
    one = await system.headrace("submit", "note", "-", stdin=b'{"text": 1}')
    many = await system.headrace("submit", "note", "-", stdin=b'[{"text": "a"}, {"txt": "b"}]')
    unknown = await system.headrace("submit", "no-such", "-", stdin=b'{"text": "a"}')
    broken = await system.headrace("submit", "note", "-", stdin=b'{"text": "a"}\n{"text": \n')

    assert [done.code for done in (one, many, unknown, broken)] == [1, 1, 1, 1]
    assert "/input/text" in one.err
    assert "line 2" in many.err
    assert "unknown_recipe" in unknown.err
    assert "line 2" in broken.err
    assert not any("Traceback" in done.err for done in (one, many, unknown, broken))


async def test_jobs_and_outputs_are_shown(system: WholeSystem) -> None:
    job_id = await system.submit("note", "shown")
    await system.ended([job_id])

    listed = await system.headrace("jobs", "--recipe", "note", "-n", "5")
    shown = await system.headrace_json("jobs", job_id)
    output = await system.headrace("output", job_id)

    assert job_id in listed.out
    assert shown["ledger"][0]["deployment"] == "scripted"
    assert json.loads(output.out)["note"].startswith("answered")


async def test_a_job_without_output_says_why_with_a_code_of_its_own(system: WholeSystem) -> None:
    job_id = await system.submit("slow-note", "to be cancelled")

    cancelled = await system.headrace("cancel", job_id)
    output = await system.headrace("output", job_id)
    again = await system.headrace("output", "not-a-job")

    assert "is cancelled" in cancelled.out
    assert output.code == 4
    assert "The job is cancelled" in output.err
    assert again.code == 1


async def test_recipes_are_listed(system: WholeSystem) -> None:
    listed = await system.headrace("recipes")

    assert {"package-card@1.0.0", "ticket-triage@1.0.0", "note@1.0.0"} <= set(listed.out.split())


async def test_outputs_are_consumed_as_they_come_and_from_the_beginning(system: WholeSystem) -> None:
    await system.ended([await system.submit("note", "for a consumer")])

    past = await system.headrace("consume", "outputs", "--from-beginning", "--max", "1", "--json")
    following = asyncio.ensure_future(system.headrace("consume", "outputs", "--max", "1"))
    # It cannot say when it has reached the end, so records are made until it has seen one.
    while not following.done():
        await system.ended([await system.submit("note", "live")])

    assert json.loads(past.out)["headers"]["ce_type"] == "headrace.output"
    assert "ce_subject: " in following.result().out


async def test_the_schema_can_be_migrated_by_hand(system: WholeSystem) -> None:
    done = await system.headrace("migrate")

    assert done.code == 0, done.err
    assert "up to date" in done.out


async def test_without_a_system_each_command_says_how_to_start_one(system: WholeSystem) -> None:
    elsewhere = {"HEADRACE_HOME": str(system.state.folder / "nothing here")}
    for arguments in (["jobs"], ["consume", "outputs"], ["migrate"]):
        done = await system.headrace(*arguments, environ=elsewhere)

        assert done.code == 1
        assert "headrace up" in done.err


async def test_the_key_of_this_machine_is_not_sent_elsewhere(system: WholeSystem) -> None:
    done = await system.headrace("jobs", environ={"HEADRACE_URL": "http://127.0.0.1:9"})

    assert done.code == 1
    assert "HEADRACE_API_KEY" in done.err
