"""How jobs, attempts, recipes and hits look to a person. Pure: values in, rich renderables out."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from rich.table import Table
from rich.text import Text

_WIDE: Final = 120
_ID_CHARS: Final = 36
STATE_STYLES: Mapping[str, str] = {
    "succeeded": "green",
    "failed": "red",
    "expired": "red",
    "cancelled": "yellow",
    "held": "yellow",
    "running": "cyan",
}


def plain_table(*headings: str, right: Iterable[str] = (), whole: Iterable[str] = ("job",)) -> Table:
    """A table without lines; the headings named in ``right`` are numbers, of those in ``whole`` nothing is cut."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    numbers, names = set(right), set(whole)
    for heading in headings:
        # A name that is cut is none: it stays whole, and others give way.
        table.add_column(heading, justify="right" if heading in numbers else "left", no_wrap=heading in names)
    return table


def state_text(state: str) -> Text:
    return Text(state, style=STATE_STYLES.get(state, ""))


def usd(amount: str | None) -> str:
    """``0.000012300`` as ``$0.0000123``; nothing for what is not known yet."""
    if amount is None:
        return ""
    exact = Decimal(amount)
    return "$0" if exact == 0 else f"${exact.normalize():f}"


def tokens(usage: Mapping[str, int]) -> str:
    """``input→output``."""
    return f"{usage['input_tokens']}→{usage['output_tokens']}"


def took(job: Mapping[str, Any], now: datetime | None = None) -> str:
    """From acceptance to the end, or to ``now``."""
    began = datetime.fromisoformat(job["created_at"])
    ended = datetime.fromisoformat(job["finished_at"]) if job["finished_at"] else (now or datetime.now(UTC))
    seconds = (ended - began).total_seconds()
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"


def why(job: Mapping[str, Any]) -> str:
    """Why it is held or did not succeed."""
    if job["failure"]:
        return f"{job['failure']['code']}: {job['failure']['detail'] or ''}".strip(": ")
    return str(job["hold_reason"] or "")


def job_table(jobs: Iterable[Mapping[str, Any]], width: int) -> Table:
    """The jobs, a line each; below 120 columns without what is seldom asked for, and the reason under the id."""
    numbers = ("attempts", "cost", "time")
    if width >= _WIDE:
        table = plain_table("job", "state", "recipe", "lane", "attempts", "tokens", "cost", "time", "", right=numbers)
    else:
        table = plain_table("job", "state", "cost", "time", "recipe", right=numbers, whole=("state", "cost", "time"))
        table.columns[0].min_width = _ID_CHARS
    for job in jobs:
        reason = Text(why(job), style="dim")
        state, cost, time = state_text(job["state"]), usd(job["cost_usd"]), took(job)
        if width >= _WIDE:
            details = (job["lane"], str(job["attempts"]), tokens(job["usage"]))
            table.add_row(job["id"], state, job["recipe"], *details, cost, time, reason)
        else:
            named = Text(job["id"])
            table.add_row(Text("\n").join((named, reason)) if reason else named, state, cost, time, job["recipe"])
    return table


def attempt_table(attempts: Iterable[Mapping[str, Any]]) -> Table:
    table = plain_table(
        "attempt",
        "state",
        "verdict",
        "deployment",
        "model",
        "tokens",
        "cost",
        "ms",
        "",
        right=("attempt", "cost", "ms"),
    )
    for attempt in attempts:
        faults = "; ".join(f"{fault['pointer']} {fault['message']}" for fault in attempt["violations"])
        mended = ", ".join(dict.fromkeys(repair["kind"] for repair in (attempt["extraction"] or {}).get("repairs", ())))
        table.add_row(
            str(attempt["attempt"]),
            attempt["state"],
            attempt["verdict"] or "",
            attempt["deployment"],
            attempt["model_served"] or attempt["model"],
            tokens(attempt),
            usd(attempt["cost_usd"]),
            "" if attempt["latency_ms"] is None else str(attempt["latency_ms"]),
            Text(attempt["error_code"] or faults or mended, style="dim"),
        )
    return table


def hit_text(hit: Mapping[str, Any]) -> Text:
    """One search result: its score and job, then where it matches."""
    text = Text.assemble((f"{hit['score']:6.2f}  ", "dim"), (hit["job_id"], "bold"), f"  {hit['recipe']}")
    for highlight in hit["highlights"][:2]:
        text.append("\n        ")
        for index, part in enumerate(" · ".join(highlight.split("\n")).replace("</em>", "<em>").split("<em>")):
            text.append(part, style="bold yellow" if index % 2 else "")
    return text
