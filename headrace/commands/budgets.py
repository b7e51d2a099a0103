"""``headrace budgets`` and ``usage``: what may be spent, and what was. Budgets need a key with the scope operator."""

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any

import typer
from rich.table import Table

from common.control_ports import BudgetScope, UsageGroup, Window
from headrace.commands.client import connect
from headrace.commands.screen import screen
from headrace.commands.tables import plain_table, usd

AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of a table.")]
Scope = Annotated[BudgetScope, typer.Argument(help="What it counts.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="A recipe's name, or the id of a batch or a job.")]
Over = Annotated[Window, typer.Option(help="Over what time it counts; days and months are UTC's.")]
Tenant = Annotated[str | None, typer.Option(help="Whose; default: the key's own tenant.")]


def register(app: typer.Typer) -> None:
    """Adds this module's commands."""
    group = typer.Typer(help="Limits on spending: list, set, remove.")
    group.callback(invoke_without_command=True)(budgets)
    group.command("set")(set_budget)
    group.command("remove")(remove_budget)
    app.add_typer(group, name="budgets")
    app.command()(usage)


def budgets(
    context: typer.Context,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    scope: Annotated[BudgetScope | None, typer.Option(help="Those of single jobs only when asked for.")] = None,
    as_json: AsJson = False,
) -> None:
    """List limits, how they stand in their present windows, and how many jobs wait for them."""
    if context.invoked_subcommand is not None:
        return
    found: list[dict[str, Any]] = []
    api, after = connect(), 0
    while after is not None:
        page = api.get("/budgets", {"tenant": tenant, "scope": scope.value if scope else None, "after": after})
        found += page["budgets"]
        after = page["next_after"]
    if as_json:
        _print_json({"budgets": found})
    elif not found:
        screen().print("No budgets: nothing limits spending. See headrace budgets set.")
    else:
        screen().print(budget_table(found))


def set_budget(
    scope: Scope,
    key: Key = "",
    limit: Annotated[str, typer.Option(metavar="USD", help="Decimal US dollars; 0 stops what costs.")] = "",
    window: Over = Window.TOTAL,
    tenant: Tenant = None,
) -> None:
    """Set a limit. Jobs on hold for it go on by themselves, as many as fit."""
    if not limit:
        raise typer.BadParameter("give one in USD, such as --limit 5", param_hint="--limit")
    wish = {"tenant": tenant, "scope": scope.value, "key": key, "window": window.value, "limit_usd": limit}
    found = connect().put("/budgets", json.dumps(wish).encode())
    screen().print(budget_table([found]))


def remove_budget(scope: Scope, key: Key = "", window: Over = Window.TOTAL, tenant: Tenant = None) -> None:
    """Remove a limit. Jobs on hold for it go on by themselves."""
    named = {"tenant": tenant, "scope": scope.value, "key": key, "window": window.value}
    connect().delete("/budgets", named)
    screen().print("It is removed.")


def usage(
    by: Annotated[list[UsageGroup] | None, typer.Option(help="What to tell apart, several times; else recipe.")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DAY", help="Default: this month's first.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Included; default: today.")] = None,
    tenant: Annotated[str | None, typer.Option(help="One tenant's; for operators, who see all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what calls that have ended have cost, by UTC day of their end."""
    groups = [group.value for group in by or (UsageGroup.RECIPE,)]
    query = {"from": _day(first), "to": _day(last), "group_by": ",".join(groups), "tenant": tenant}
    found = connect().get("/usage", query)
    if as_json:
        _print_json(found)
    else:
        screen().print(usage_table(found["usage"], groups))
        screen().print(f"{found['first']} to {found['last']}, UTC days.", style="dim", highlight=False)


def budget_table(budgets: Iterable[Mapping[str, Any]]) -> Table:
    """One row a budget."""
    numbers = ("limit", "spent", "reserved", "left", "held jobs")
    table = plain_table("tenant", "scope", "key", "window", *numbers, "until", right=numbers, whole=("scope", "key"))
    for each in budgets:
        amounts = (usd(each[f"{name}_usd"]) for name in ("limit", "settled", "reserved", "available"))
        until = (each["window_end"] or "")[:16].replace("T", " ")
        named = (each["tenant"], each["scope"], each["key"], each["window"])
        table.add_row(*named, *amounts, str(each["held_jobs"]), until)
    return table


def usage_table(rows: Iterable[Mapping[str, Any]], groups: Iterable[str]) -> Table:
    """One row a group."""
    groups = list(groups)
    numbers = ("calls", "unknown", "bought again", "input", "output", "cost", "estimated")
    table = plain_table(*groups, *numbers, right=numbers, whole=groups)
    for row in rows:
        counts = [str(row[name]) for name in ("attempts", "unknown", "rebought", "input_tokens", "output_tokens")]
        table.add_row(*(str(row[g]) for g in groups), *counts, usd(row["cost_usd"]), usd(row["estimated_usd"]))
    return table


def _day(text: str | None) -> str | None:
    try:
        return None if text is None else date.fromisoformat(text).isoformat()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day; write it as 2026-11-21", param_hint="--from / --to") from None


def _print_json(body: Any) -> None:
    sys.stdout.write(json.dumps(body, indent=2, ensure_ascii=False) + "\n")
