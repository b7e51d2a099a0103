"""On a narrow screen names stay whole, because people copy them; elsewhere nothing is cut."""

from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from headrace.commands.budgets import budget_table, usage_table
from headrace.commands.tables import job_table

JOB_ID = "01a21884-009b-7fee-8e0f-60afc2a601de"
REASON = "budget_exhausted: the tenant's budget of 3 USD has 2.392 left"


def job(**members: Any) -> dict[str, Any]:
    return {
        "id": JOB_ID,
        "state": "succeeded",
        "recipe": "ticket-triage@1.0.0",
        "lane": "standard",
        "attempts": 1,
        "usage": {"input_tokens": 93, "output_tokens": 29},
        "cost_usd": "0.151000000",
        "created_at": "2026-11-26T15:37:48+00:00",
        "finished_at": "2026-11-26T15:37:49+00:00",
        "failure": None,
        "hold_reason": None,
        **members,
    }


def shown(table: Table, width: int) -> str:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.mark.parametrize("width", [80, 100])
def test_a_narrow_list_of_jobs_shows_ids_states_and_cost(width: int) -> None:
    text = shown(job_table([job(), job(state="held", hold_reason=REASON)], width), width)

    assert text.count(JOB_ID) == 2
    assert " ".join(text.split()).count("budget_exhausted: the tenant's") == 1
    for part in ("succeeded", "held", "$0.151", "1.00 s"):
        assert part in text


def test_a_wide_list_of_jobs_shows_all() -> None:
    text = shown(job_table([job(), job(state="held", hold_reason=REASON)], 200), 200)

    for part in (JOB_ID, "succeeded", "ticket-triage@1.0.0", "standard", "93→29", "$0.151", "1.00 s", REASON):
        assert part in text


def test_usage_and_budgets_keep_what_they_count_by() -> None:
    amounts = dict.fromkeys(("limit_usd", "settled_usd", "reserved_usd", "available_usd"), "1.500000000")
    budget = {"tenant": "default", "scope": "batch", "key": JOB_ID, "window": "total", "held_jobs": 3}
    counts = dict.fromkeys(("attempts", "unknown", "rebought", "input_tokens", "output_tokens"), 1_234)
    usage = {**counts, "recipe": "ticket-triage@1.0.0", "cost_usd": "1.5", "estimated_usd": "0"}

    assert JOB_ID in shown(budget_table([{**budget, **amounts, "window_end": None}]), 100)
    assert "ticket-triage@1.0.0" in shown(usage_table([usage], ["recipe"]), 80)
