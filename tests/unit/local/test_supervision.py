"""The pure parts of supervision: back-off, event lines, log bounds, the line that says why."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.commands.progress import event_line, parse_event
from headrace.local import jars, logs
from headrace.local.kafka import server_properties
from headrace.local.process import telling_line
from headrace.local.server import Site
from headrace.local.services import Service, drain_s, service_environment
from headrace.local.stack import Endpoints
from headrace.local.state import Secrets, State
from headrace.local.supervisor import backoff_s


def test_backoff_doubles_to_half_a_minute() -> None:
    assert [backoff_s(n) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


@given(st.integers(min_value=1, max_value=1000))
def test_backoff_never_overflows(crashes: int) -> None:
    assert 0.5 <= backoff_s(crashes) <= 30


@given(st.text(alphabet=st.characters(codec="ascii", exclude_categories=["C"])))
def test_an_event_line_is_read_as_it_was_written(detail: str) -> None:
    detail = detail.strip()
    assert parse_event(event_line("kafka", "ready", detail)) == ("kafka", "ready", detail)


@pytest.mark.parametrize("line", ["", "Traceback (most recent call last):", "a b", "2026 kafka unheard-of x"])
def test_other_lines_are_no_events(line: str) -> None:
    assert parse_event(line) is None


def test_a_log_past_its_bound_is_cut_under_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    with log.open("ab", buffering=0) as writer:
        for round_ in range(4):
            writer.write(f"round {round_}\n".encode() * 10)
            logs.bound(tmp_path, limit_bytes=50)
            assert log.stat().st_size == 0
        writer.write(b"after\n")

    assert log.read_text() == "after\n"
    assert (tmp_path / "kafka.log.1").read_text() == "round 3\n" * 10
    assert (tmp_path / "kafka.log.2").read_text() == "round 2\n" * 10
    assert len(list(tmp_path.iterdir())) == logs.KEPT + 1


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "kafka.log").write_text("short")
    logs.bound(tmp_path)
    assert (tmp_path / "kafka.log").read_text() == "short"


async def test_following_gives_whole_lines_and_survives_a_cut(tmp_path: Path) -> None:
    log = tmp_path / "kafka.log"
    log.write_text("old\n")
    lines = logs.follow([log], [log.stat().st_size])
    with log.open("a") as writer:
        writer.write("one\ntw")
    assert await anext(lines) == (log, "one")
    log.write_text("")
    waiting = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(2 * logs.FOLLOW_EVERY_S)
    with log.open("a") as writer:
        writer.write("three\n")
    assert await waiting == (log, "three")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], ""),
        (["starting", "FATAL:  lock file exists", "LOG: shut down"], "FATAL:  lock file exists"),
        (
            ["Traceback", "  File x", "ModuleNotFoundError: No module named 'x'", ""],
            "ModuleNotFoundError: No module named 'x'",
        ),
        (["one", "two"], "two"),
    ],
)
def test_the_line_that_says_why(lines: list[str], said: str) -> None:
    assert telling_line(lines) == said


def test_the_lock_names_what_the_servers_need() -> None:
    assert [len(jars.locked(name)) for name in ("kafka", "elasticsearch", "elasticsearch-netty")] == [46, 39, 10]
    # log4j's BOM would silently bring clients of another version.
    versions = {jar.artifact: jar.version for jar in jars.locked("kafka")}
    assert versions["kafka-clients"] == versions["kafka_2.13"] == "4.3.1"


def test_the_jar_cache_is_where_it_is_told_to_be(tmp_path: Path) -> None:
    chosen = jars.jar_cache(tmp_path, {"HEADRACE_CACHE": str(tmp_path / "c"), "HEADRACE_MAVEN_REPOSITORY": "http://m"})
    assert chosen == jars.JarCache(tmp_path / "c" / "jars", "http://m")
    assert jars.jar_cache(tmp_path, {"HOME": str(tmp_path)}).folder == tmp_path / ".cache" / "headrace" / "jars"
    assert jars.jar_cache(tmp_path, {}).folder == tmp_path / "jars"


def test_kafka_listens_on_loopback_and_names_no_absolute_path() -> None:
    lines = dict(line.split("=", 1) for line in server_properties(1, 2).splitlines())
    assert lines["listeners"] == "PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2"
    assert not any(value.startswith("/") for value in lines.values())


@pytest.mark.parametrize(
    ("told", "seconds"), [({}, 5), ({"HEADRACE_DRAIN_S": "120"}, 120), ({"HEADRACE_DRAIN_S": "x"}, 5)]
)
def test_a_stop_waits_as_long_as_services_may_take(told: dict[str, str], seconds: float, tmp_path: Path) -> None:
    secrets = Secrets(postgres_password="p", valkey_password="v", kafka_cluster_id="k", state_id="s")
    site = Site(State(tmp_path), secrets, {}, jars.jar_cache(tmp_path, {}))

    assert drain_s(told) == seconds
    assert Service("model_layer", site, told).stop_bound_s > seconds


def test_services_inherit_the_environment_and_are_told_our_endpoints() -> None:
    endpoints = Endpoints(database_url="postgresql://ours", kafka_bootstrap="k", redis_url="redis://r")
    environ = {"OPENAI_API_KEY": "key", "HEADRACE_DATABASE_URL": "postgresql://stale", "HEADRACE_DRAIN_S": "9"}

    told = service_environment(environ, endpoints.environment(), Path("/state/models.toml"))

    assert told["OPENAI_API_KEY"] == "key"
    assert told["HEADRACE_DATABASE_URL"] == "postgresql://ours"
    assert told["HEADRACE_MODELS_FILE"] == "/state/models.toml"
    assert told["HEADRACE_DRAIN_S"] == "9"
    assert "HEADRACE_ELASTICSEARCH_URL" not in told
    assert "HEADRACE_LLM_BASE_URL" not in told
    assert "ours" not in repr(endpoints)
