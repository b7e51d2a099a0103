"""The benchmark's job fits its own recipe, its models file and the sizes it claims."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.__main__ import parser, plan_of
from bench.load import Pace
from bench.mock import RequestFraming, content_length, reply
from bench.tally import ACCEPTED, SEEN, SharedCount, read_accepted, read_seen
from bench.watch import subject
from bench.workload import (
    ANSWER,
    CONCURRENCY,
    INPUT_BYTES,
    MODEL,
    RECIPE,
    RECIPES_FOLDER,
    VARIANTS,
    Variant,
    make_input,
    make_request,
    models_toml,
)
from common.ids import uuid7
from common.recipes import load_catalogue
from model_layer.deployments import load_deployments


def test_inputs_have_their_size_satisfy_the_recipe_and_differ() -> None:
    [recipe] = load_catalogue([RECIPES_FOLDER]).list()

    inputs = [make_input(number) for number in range(50)]

    assert recipe.reference == RECIPE
    assert {len(orjson.dumps(each)) for each in inputs} == {INPUT_BYTES}
    assert not any(recipe.input.check(each) for each in inputs)
    assert len({orjson.dumps(each) for each in inputs}) == len(inputs)


def test_the_answer_satisfies_the_recipe() -> None:
    [recipe] = load_catalogue([RECIPES_FOLDER]).list()

    assert not recipe.output.check(orjson.loads(ANSWER))
    assert 550 <= len(ANSWER) <= 650


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_models_file_is_one_that_the_model_layer_takes(variant: Variant, tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(models_toml(variant, "http://127.0.0.1:9/v1"))

    [deployment] = load_deployments(path, {}).deployments

    assert (deployment.alias, deployment.unavailable) == (MODEL, None)
    assert deployment.limits.concurrency == CONCURRENCY


@given(st.lists(st.integers(min_value=0, max_value=300), min_size=1, max_size=5), st.data())
def test_the_mock_counts_whole_requests_however_they_arrive(sizes: list[int], data: st.DataObject) -> None:
    stream = b"".join(b"POST / HTTP/1.1\r\ncontent-LENGTH: %d\r\n\r\n" % size + b"x" * size for size in sizes)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    framing = RequestFraming()

    counted = sum(framing.feed(stream[start:end]) for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True))

    assert counted == len(sizes)


def test_a_message_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="Content-Length"):
        content_length(b"POST / HTTP/1.1\r\nhost: x")


def test_request_and_reply_say_their_length() -> None:
    for message in (make_request(1, host="127.0.0.1:1", key="k"), reply()):
        head, _, body = message.partition(b"\r\n\r\n")
        assert content_length(head) == len(body)


def test_a_closed_loop_is_bounded_by_what_came_out() -> None:
    pace = Pace(None, 100, started_s=0.0)

    assert pace.allowed(5.0, seen=40) == 140


def test_an_open_loop_follows_the_clock_and_the_bound() -> None:
    pace = Pace(20.0, 5, started_s=10.0)

    assert pace.allowed(10.2, seen=0) == 4
    assert pace.allowed(20.0, seen=0) == 5
    assert pace.next_s(3, 10.16) == pytest.approx(10.2)


def test_tallies_are_read_as_they_were_written_without_a_torn_end(tmp_path: Path) -> None:
    job = uuid7()
    accepted, seen = tmp_path / "accepted", tmp_path / "seen"
    accepted.write_bytes(ACCEPTED.pack(job.bytes, 1.5, 2.5))
    seen.write_bytes(SEEN.pack(job.bytes, 3.5) + b"torn")

    assert list(read_accepted(accepted)) == [(job, 1.5, 2.5)]
    assert list(read_seen(seen)) == [(job, 3.5)]


def test_a_shared_count_is_seen_by_its_readers(tmp_path: Path) -> None:
    with SharedCount(tmp_path / "count", create=True) as writer, SharedCount(tmp_path / "count") as reader:
        writer.value = 7

        assert reader.value == 7


def test_the_job_of_a_record_is_its_subject() -> None:
    job = uuid7()

    assert subject([("ce_id", b"x"), ("ce_subject", str(job).encode())]) == job
    with pytest.raises(ValueError, match="ce_subject"):
        subject(None)


def test_quick_shortens_and_settings_get_their_prefix() -> None:
    plan = plan_of(parser().parse_args(["--quick", "--set", "pool_size=4", "--set", "HEADRACE_RUNWAY=9"]))

    assert (plan.seconds, plan.rounds) == (10.0, 1)
    assert plan.settings == {"HEADRACE_POOL_SIZE": "4", "HEADRACE_RUNWAY": "9"}
