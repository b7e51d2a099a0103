"""Every named crash point, once: nothing lost, nothing repeated, every call in the ledger."""

from pathlib import Path

import pytest

from common.failpoint import POINTS
from tests.chaos.crash_points import tour
from tests.chaos.run import HISTORY

pytestmark = pytest.mark.chaos


@pytest.mark.timeout(480)
async def test_p2_p3_killed_at_every_crash_point_nothing_is_lost_or_repeated() -> None:
    found = await tour(history_root=_history())
    print("\n".join(found.lines()))

    assert found.missed == []
    assert sorted(passage.point for passage in found.passages) == sorted(POINTS)
    assert found.verdict.findings == []


def _history() -> Path:
    return Path(__file__).parents[2] / HISTORY
