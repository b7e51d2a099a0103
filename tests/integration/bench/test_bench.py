"""The benchmark as a person runs it, only much shorter; and interrupted."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.results import BenchResult
from bench.soaked import SoakResult
from bench.system import REPOSITORY
from headrace.local.services import SERVICES

pytestmark = pytest.mark.stack

CALIBRATION = ["--calibration-seconds", "0.2"]
SHORT = [*CALIBRATION, "--warmup", "0.5", "--seconds", "2", "--rounds", "1", "--latency-seconds", "2"]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Where the benchmark makes its state folder; open to walk through, for root's Postgres."""
    folder = Path(tempfile.mkdtemp(prefix="headrace bench test "))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_a_short_soak_reads_every_process_and_table_and_finds_every_job_once(temporary: Path) -> None:
    figures = temporary / "figures.json"

    bench = start(temporary, "soak", "--minutes", "0.25", "--rate", "20", "--every", "0.5", "--json", str(figures))
    text, _ = bench.communicate(timeout=180)

    assert bench.returncode == 0, text
    result = SoakResult.model_validate_json(figures.read_bytes())
    assert result.broken == []
    assert result.accepted > 0
    assert set(result.processes) == {*SERVICES, "postgres", "valkey", "kafka"}
    assert result.processes["ingestion"] is not None
    assert result.levels.tables["jobs"].bytes.last > 0
    assert [path.name for path in temporary.iterdir()] == [figures.name]


def start(temporary: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *words],
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_short_run_measures_and_finds_every_job_once(temporary: Path) -> None:
    figures = temporary / "figures.json"

    bench = start(temporary, "--variant", "http", *SHORT, "--json", str(figures))
    text, _ = bench.communicate(timeout=180)

    assert bench.returncode == 0, text
    result = BenchResult.model_validate_json(figures.read_bytes())
    [variant] = result.variants
    assert variant.integrity.holds
    assert variant.rounds[0].outputs > 0
    assert set(variant.rounds[0].cpu_ms_a_job) >= {"ingestion", "persistence", "kafka", "postgres"}
    assert (result.durability.fsync, result.durability.synchronous_commit) == ("on", "on")
    assert [path.name for path in temporary.iterdir()] == [figures.name]


def test_an_interrupted_run_leaves_nothing_behind(temporary: Path) -> None:
    bench = start(temporary, "--variant", "http", *CALIBRATION)
    wait_for(bench, "latency at rest")
    family = psutil.Process(bench.pid).children(recursive=True)

    bench.send_signal(signal.SIGTERM)
    bench.communicate(timeout=60)

    assert bench.returncode == 2
    assert len(family) > 8
    assert not [each for each in family if alive(each)]
    assert not list(temporary.iterdir())


def wait_for(bench: subprocess.Popen[str], words: str) -> None:
    assert bench.stdout is not None
    deadline = time.monotonic() + 120
    for line in bench.stdout:
        if words in line:
            return
        assert time.monotonic() < deadline
    pytest.fail("the benchmark ended before it measured")


def alive(member: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    return False
