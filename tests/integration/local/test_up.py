"""``headrace up`` and its companions as a person uses them: the whole system, from the shell."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace.local.process import send_signal
from headrace.local.services import SERVICES
from headrace.local.state import State

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

SERVERS = {"postgres", "valkey", "kafka", "elasticsearch", "llm"}
BOUND_S = 90.0


class Shell:
    """The headrace command over one state folder, with a PATH that holds no java and no docker."""

    def __init__(self, folder: Path) -> None:
        self.state = State(folder)
        self.environ = {**os.environ, "HEADRACE_HOME": str(folder), "PATH": "/nonexistent"}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "headrace", *arguments]
        return subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("status", "--json").stdout)
        return found

    def processes(self) -> dict[str, dict[str, Any]]:
        return {process["name"]: process for process in self.status()["processes"]}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + BOUND_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    folder = Path(tempfile.mkdtemp(prefix="headrace test "))
    running = Shell(folder / "some state")
    started = running("up", "--detach", "--free-ports")
    try:
        assert started.returncode == 0, started.stderr
        yield running
    finally:
        running("down", "--delete-data")
        shutil.rmtree(folder, ignore_errors=True)


def test_up_starts_everything_and_says_where(shell: Shell) -> None:
    status = shell.status()

    assert {process["name"] for process in status["processes"]} == SERVERS | set(SERVICES)
    assert all(process["ready"] for process in status["processes"])
    with urllib.request.urlopen(f"{status['url']}/health/ready") as answer:
        assert answer.status == 200


def test_the_first_api_key_is_made_and_kept_private(shell: Shell) -> None:
    key_file = shell.state.api_key_file
    key = key_file.read_text().strip()
    request = urllib.request.Request(f"{shell.status()['url']}/api/v1/jobs", headers={"Authorization": f"Bearer {key}"})

    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert not any(key in log.read_text(errors="replace") for log in shell.state.logs.iterdir())


def test_a_second_up_is_refused_in_plain_words(shell: Shell) -> None:
    for arguments in (["up"], ["up", "--detach"]):
        second = shell(*arguments)

        assert second.returncode == 1
        assert "already runs on" in second.stderr
        assert "headrace down" in second.stderr
        assert "Traceback" not in second.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_killed_service_is_started_again(shell: Shell, name: str) -> None:
    before = shell.processes()[name]

    send_signal(before["pid"], signal.SIGKILL)

    until(lambda: (after := shell.processes()[name])["restarts"] == before["restarts"] + 1 and after["ready"])


def test_status_says_why_something_is_not_ready(shell: Shell) -> None:
    pid = shell.processes()["valkey"]["pid"]
    send_signal(pid, signal.SIGSTOP)
    try:
        status = shell("status")
        assert status.returncode == 1
        assert "does not answer" in status.stdout
        assert "does not answer" in shell("doctor").stdout
    finally:
        send_signal(pid, signal.SIGCONT)


def test_logs_are_printed_by_name_and_all_together(shell: Shell) -> None:
    assert "database system is ready" in shell("logs", "postgres", "-n", "100").stdout
    everything = shell("logs", "-n", "5").stdout
    assert "postgres" in everything
    assert "supervisor" in everything
    assert shell("logs", "nobody").returncode == 2


def test_a_killed_supervisor_takes_all_along_and_the_next_up_goes_on(shell: Shell) -> None:
    key, ports = shell.state.api_key_file.read_text(), shell.state.ports()
    record = shell.state.run_record()
    assert record is not None

    send_signal(record.supervisor.pid, signal.SIGKILL)

    until(lambda: not any(process.identity.alive() for process in record.processes.values()))
    assert shell("status").returncode == 3
    assert "was killed" in shell("doctor").stdout
    again = shell("up", "--detach", "--without", "llm")
    assert again.returncode == 0, again.stderr
    assert shell.state.ports() == ports
    assert shell.state.api_key_file.read_text() == key
    assert "llm" not in shell.processes()


def test_down_stops_and_deletes_when_told(shell: Shell) -> None:
    stopped = shell("down")
    assert stopped.returncode == 0
    assert "Stopped" in stopped.stdout
    assert shell("status").returncode == 3
    assert "Nothing runs" in shell("down").stdout
    assert shell.state.api_key_file.exists()

    assert shell("down", "--delete-data").returncode == 0
    assert not shell.state.folder.exists()
