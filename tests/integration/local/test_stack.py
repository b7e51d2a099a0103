"""The servers of one machine: started cold, restarted with their data, killed and healed, refused twice."""

import asyncio
import json
import os
import shutil
import signal
import socket
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis
from redis.exceptions import RedisError

from common.errors import StackError
from headrace.local import jars
from headrace.local.process import Identity, family
from headrace.local.server import answers
from headrace.local.stack import Endpoints, Stack

pytestmark = pytest.mark.stack

DURABLE = ("postgres", "valkey", "kafka")


async def execute(endpoints: Endpoints, statement: str) -> object:
    connection = await asyncpg.connect(endpoints.database_url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_all_servers_serve(stack: Stack) -> None:
    endpoints = stack.endpoints

    assert await execute(endpoints, "show fsync") == "on"
    assert await execute(endpoints, "select 1 from pg_available_extensions where name = 'vector'") == 1

    redis = Redis.from_url(endpoints.redis_url)
    assert await redis.ping()
    await redis.aclose()

    admin = AIOKafkaAdminClient(bootstrap_servers=endpoints.kafka_bootstrap)
    await admin.start()
    try:
        assert len((await admin.describe_cluster())["brokers"]) == 1
    finally:
        await admin.close()

    with urllib.request.urlopen(f"{endpoints.elasticsearch_url}/_cluster/health") as answer:
        assert json.load(answer)["status"] == "green"


async def test_postgres_and_valkey_ask_for_the_password(stack: Stack) -> None:
    postgres, valkey = stack.ports["postgres"], stack.ports["valkey"]

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://headrace:guess@127.0.0.1:{postgres}/headrace")
    redis = Redis.from_url(f"redis://127.0.0.1:{valkey}/0")
    with pytest.raises(RedisError, match="authenticate"):
        await redis.ping()
    await redis.aclose()


async def test_no_secret_is_on_a_command_line_or_in_a_log(stack: Stack) -> None:
    kept = stack.state.secrets()
    passwords = (kept.postgres_password, kept.valkey_password)

    for name in stack.names:
        for pid in family(stack.pid(name) or 0):
            command_line = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
            assert not any(password in command_line for password in passwords)
    for log in stack.state.logs.iterdir():
        assert not any(password in log.read_text(errors="replace") for password in passwords)


async def test_the_state_folder_is_closed_to_others(stack: Stack) -> None:
    folder = stack.state.folder

    # Search, never read: root's Postgres runs as another user.
    assert folder.stat().st_mode & 0o066 == 0
    for name in ("secrets.json", "ports.json", "run.json"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert (folder / "kafka").stat().st_mode & 0o777 == 0o700


async def test_no_jvm_leaves_sockets_or_counters_behind(stack: Stack) -> None:
    jvms = [pid for name in ("kafka", "elasticsearch") if (pid := stack.pid(name)) is not None]
    started = {str(pid): psutil.Process(pid).create_time() for jvm in jvms for pid in family(jvm)}
    temporary = Path(tempfile.gettempdir())

    files = [*temporary.glob(".java_pid*"), *temporary.glob("hsperfdata_*/*")]

    assert len(jvms) == 2
    theirs = {path: started[own] for path in files if (own := path.name.removeprefix(".java_pid")) in started}
    # An older file was left by another process, which had that number before.
    left = [path for path, at in theirs.items() if path.lstat().st_mtime >= at]
    assert not left


async def test_a_restart_keeps_data_ports_and_passwords(state_dir: Path) -> None:
    async with Stack(state_dir, DURABLE, free_ports=True) as first:
        before = first.endpoints
        await execute(before, "create table kept as select 42 as answer")
        redis = Redis.from_url(before.redis_url)
        await redis.set("kept", "42")
        await redis.aclose()
        await produce(before, b"42")

    async with Stack(state_dir, DURABLE, free_ports=True) as second:
        assert second.endpoints == before
        assert await execute(before, "select answer from kept") == 42
        redis = Redis.from_url(before.redis_url)
        assert await redis.get("kept") == b"42"
        await redis.aclose()
        assert await consume(before) == b"42"


async def produce(endpoints: Endpoints, value: bytes) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=endpoints.kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=endpoints.kafka_bootstrap, acks="all") as producer:
        await producer.send_and_wait("kept", value)


async def consume(endpoints: Endpoints) -> bytes:
    async with AIOKafkaConsumer(bootstrap_servers=endpoints.kafka_bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([TopicPartition("kept", 0)])
        return bytes((await consumer.getone()).value)


async def test_killed_servers_come_back_with_what_they_acknowledged(state_dir: Path) -> None:
    async with Stack(state_dir, DURABLE, free_ports=True) as stack:
        await execute(stack.endpoints, "create table kept as select 42 as answer")
        await produce(stack.endpoints, b"42")

        for name in ("postgres", "kafka"):
            await stack.kill_server(name)
            assert stack.pid(name) is None
            await stack.start_server(name)

        assert await execute(stack.endpoints, "select answer from kept") == 42
        assert await consume(stack.endpoints) == b"42"


async def test_postgres_starts_once_the_last_process_of_a_killed_one_is_gone(state_dir: Path) -> None:
    async with Stack(state_dir, ["postgres"], free_ports=True) as stack:
        connection = await asyncpg.connect(stack.endpoints.database_url)
        backend = await connection.fetchval("select pg_backend_pid()")
        os.kill(backend, signal.SIGSTOP)
        os.kill(stack.pid("postgres") or 0, signal.SIGKILL)
        child = stack.server("postgres").child
        assert child is not None
        assert await child.wait(10)
        starting = asyncio.create_task(stack.start_server("postgres"))

        await asyncio.wait([starting], timeout=1)
        os.kill(backend, signal.SIGCONT)

        await starting
        assert await execute(stack.endpoints, "select 42") == 42
        connection.terminate()


async def test_a_paused_server_hangs_and_resumes(state_dir: Path) -> None:
    async with Stack(state_dir, ["postgres"], free_ports=True) as stack:
        stack.pause_server("postgres")
        with pytest.raises(TimeoutError):
            await asyncpg.connect(stack.endpoints.database_url, timeout=0.5)

        stack.resume_server("postgres")

        assert await execute(stack.endpoints, "select 1") == 1


async def test_who_gives_up_asking_a_hung_postgres_leaves_nothing_that_complains(
    state_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Stack(state_dir, ["postgres"], free_ports=True) as stack:
        probe = stack.server("postgres").probe
        stack.pause_server("postgres")

        # As a command does: its loop ends right after the answer.
        found = [await asyncio.to_thread(lambda: asyncio.run(answers(probe, 0.3))) for _ in range(10)]

        stack.resume_server("postgres")
        assert not any(found)
        assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def test_a_second_stack_on_the_same_state_is_refused(state_dir: Path) -> None:
    async with Stack(state_dir, ["valkey"], free_ports=True):
        with pytest.raises(StackError, match="already runs") as refusal:
            await Stack(state_dir, ["valkey"], free_ports=True).start()

    assert "headrace down" in refusal.value.mend


async def test_two_stacks_run_side_by_side(state_dir: Path, stack: Stack) -> None:
    async with Stack(state_dir, ["valkey"], free_ports=True) as other:
        assert other.ports["valkey"] != stack.ports["valkey"]


async def test_a_folder_with_other_things_is_left_alone(state_dir: Path) -> None:
    (state_dir / "thesis.tex").write_text("mine")
    rights = state_dir.stat().st_mode

    with pytest.raises(StackError, match=r"thesis\.tex"):
        await Stack(state_dir, ["valkey"], free_ports=True).start()

    assert state_dir.stat().st_mode == rights
    assert [entry.name for entry in state_dir.iterdir()] == ["thesis.tex"]


async def test_a_taken_port_is_named_with_its_owner(state_dir: Path) -> None:
    async with Stack(state_dir, ["valkey"], free_ports=True) as stack:
        port = stack.ports["valkey"]
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(StackError) as refusal:
            await Stack(state_dir, ["valkey"]).start()

        assert f"Port {port}, wanted for valkey, is taken by" in refusal.value.problem
        assert "--free-ports" in refusal.value.mend
        async with Stack(state_dir, ["valkey"], free_ports=True) as moved:
            assert moved.ports["valkey"] != port


async def test_a_server_that_cannot_start_says_why(state_dir: Path) -> None:
    async with Stack(state_dir, ["postgres"], free_ports=True):
        pass
    (state_dir / "postgres" / "data" / "global" / "pg_control").unlink()

    with pytest.raises(StackError, match=r"postgres ended with code .* while starting") as failure:
        await Stack(state_dir, ["postgres"], free_ports=True).start()

    assert "postgres.log" in failure.value.mend


async def test_stopping_leaves_no_process(state_dir: Path) -> None:
    async with Stack(state_dir, DURABLE, free_ports=True) as stack:
        record = stack.state.run_record()
    assert record is not None
    identities: list[Identity] = [process.identity for process in record.processes.values()]

    assert len(identities) == len(DURABLE)
    assert not any(identity.alive() for identity in identities)
    assert stack.state.run_record() is None


@pytest.fixture
def mirror(stack: Stack) -> Iterator[str]:
    """The jars that the stack fetched, served again as a Maven repository on this machine."""
    folder = jars.jar_cache(stack.state.folder, os.environ).folder
    handler = partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def fetch(cache: jars.JarCache) -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    jars.fetch("elasticsearch-netty", cache, lambda *left: told.append(left), threading.Event())
    return told


def test_jars_are_fetched_once_and_damaged_ones_again(mirror: str, tmp_path: Path) -> None:
    cache = jars.JarCache(tmp_path / "jars", mirror)
    locked = jars.locked("elasticsearch-netty")

    told = fetch(cache)
    assert told[0] == (len(locked), sum(jar.size_bytes for jar in locked))
    assert told[-1] == (0, 0)
    assert fetch(cache) == []

    truncated, altered = (locked[0].path_in(cache.folder), locked[1].path_in(cache.folder))
    truncated.write_bytes(truncated.read_bytes()[:1000])
    altered.write_bytes(altered.read_bytes()[::-1])
    assert fetch(cache)[0][0] == 2
    assert jars.missing("elasticsearch-netty", cache.folder) == []


def test_without_network_the_first_start_says_what_it_lacks(tmp_path: Path) -> None:
    nobody_listens = jars.JarCache(tmp_path / "jars", "http://127.0.0.1:9")

    with pytest.raises(StackError, match=r"10 jars \(3 MB\) .* could not be downloaded") as failure:
        fetch(nobody_listens)

    assert "network" in failure.value.mend


def test_a_repository_that_alters_a_jar_is_not_trusted(mirror: str, tmp_path: Path) -> None:
    liar = tmp_path / "liar"
    shutil.copytree(jars.jar_cache(tmp_path, os.environ).folder, liar)
    for jar in jars.locked("elasticsearch-netty"):
        jar.path_in(liar).write_bytes(b"not a jar")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(liar)))
    threading.Thread(target=server.serve_forever, daemon=True).start()

    with pytest.raises(StackError, match="is not the file that was locked"):
        fetch(jars.JarCache(tmp_path / "jars", f"http://127.0.0.1:{server.server_port}"))
    server.shutdown()
    server.server_close()
