"""Crash points: off they do nothing; ordered they act once; every one in the code is in the register and the other
way round.
"""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import failpoint as failpoints
from common.failpoint import POINTS, FailpointRaised, StagePoints, failpoint, stage_points
from common.pipeline import STAGES

ROOT = Path(__file__).parents[3]
PACKAGES = ("common", "ingestion", "prompt_engine", "model_layer", "output_validation", "persistence")
POINT = "relay.steps.after_send"


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[Path]:
    failpoints.arm(tmp_path)
    yield tmp_path
    failpoints.arm(None)


def _pass(point: str) -> bool:
    """Whether the order at a point was carried out."""
    try:
        failpoint(point)
    except FailpointRaised:
        return True
    return False


def _process(orders: Path, point: str, times: int) -> subprocess.Popen[bytes]:
    program = (
        "from pathlib import Path; from common.failpoint import arm, failpoint\n"
        f"arm(Path({str(orders)!r}))\n"
        f"for _ in range({times}): failpoint({point!r})\n"
    )
    return subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)


def test_off_it_does_nothing_even_with_orders_there(tmp_path: Path) -> None:
    (tmp_path / POINT).write_text("raise")

    assert not _pass(POINT)


def test_without_an_order_it_does_nothing(orders: Path) -> None:
    assert not _pass(POINT)
    assert not list(orders.iterdir())


def test_an_order_is_carried_out_once(orders: Path) -> None:
    (orders / POINT).write_text("raise")

    assert [_pass(POINT) for _ in range(3)] == [True, False, False]
    assert [file.name for file in orders.iterdir()] == [POINT + ".done"]


def test_a_number_says_at_which_time(orders: Path) -> None:
    (orders / POINT).write_text("raise 3")

    assert [_pass(POINT) for _ in range(4)] == [False, False, True, False]


def test_an_order_concerns_its_own_point_only(orders: Path) -> None:
    (orders / POINT).write_text("raise")

    assert not _pass("relay.steps.after_read")


def test_an_order_given_again_is_carried_out_again(orders: Path) -> None:
    for _ in range(2):
        (orders / POINT).write_text("raise")

        assert _pass(POINT)


def test_an_unknown_order_says_so(orders: Path) -> None:
    (orders / POINT).write_text("explode")

    with pytest.raises(ValueError, match="explode"):
        failpoint(POINT)


def test_kill_ends_the_process_and_its_successor_lives(tmp_path: Path) -> None:
    (tmp_path / POINT).write_text("kill 2")

    assert _process(tmp_path, POINT, times=3).wait(20) == -signal.SIGKILL
    assert _process(tmp_path, POINT, times=3).wait(20) == 0


def test_stop_hangs_the_process_until_it_is_told_to_go_on(tmp_path: Path) -> None:
    (tmp_path / POINT).write_text("stop")
    process = _process(tmp_path, POINT, times=1)

    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)
    process.send_signal(signal.SIGCONT)

    assert process.wait(20) == 0


def test_every_point_in_the_code_is_registered_and_every_registered_one_is_in_the_code() -> None:
    sources = [path.read_text() for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    written = {name for source in sources for name in re.findall(r'failpoint\("([^"]+)"\)', source)}
    by_runner = {point for stage in STAGES for point in stage_points(stage)} & set(POINTS)

    assert written | by_runner == set(POINTS)


def test_the_runner_passes_the_points_of_each_stage_by_its_own_fields() -> None:
    source = (ROOT / "common/runner.py").read_text()

    assert set(re.findall(r"failpoint\(self\._points\.(\w+)\)", source)) == set(StagePoints._fields)
