"""A bounded share of the chaos run, on fixed seeds. ``make chaos`` runs others, and longer ones."""

from pathlib import Path

import pytest

from tests.chaos.plan import make_plan
from tests.chaos.run import HISTORY, Order, run

pytestmark = pytest.mark.chaos

MINUTES = 1.2
JOBS = 500


@pytest.mark.timeout(360)
@pytest.mark.parametrize("seed", [20_261_201])
async def test_p1_to_p9_hold_under_a_seeded_nemesis(seed: int) -> None:
    order = Order(seed, JOBS, MINUTES, make_plan(seed, MINUTES * 60 - 2, delete_topics=True))

    report = await run(order, history_root=Path(__file__).parents[2] / HISTORY)
    print("\n".join(report.lines()))

    assert report.verdict.findings == []
