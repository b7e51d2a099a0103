"""A run's figures as tables for people, plain where the output is no terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from bench.results import BenchResult, Durability, Integrity, Latency, Machine, Ratio, VariantResult
from bench.workload import MOCK_LATENCY_MS

TITLES = {
    "zero": "scripted provider, no latency",
    "http": f"HTTP mock, {MOCK_LATENCY_MS[0]:g}-{MOCK_LATENCY_MS[1]:g} ms",
}


def show(console: Console, result: BenchResult) -> None:
    """Print everything that was found."""
    _show_conditions(console, result)
    for variant in result.variants:
        console.print()
        console.print(f"[bold]{TITLES[variant.variant]}[/] ({variant.variant})", highlight=False)
        _show_rate(console, variant)
        console.print(_cpu(variant))
        console.print(_latency(variant))
        _show_rest(console, variant.latency_at_rest)
        console.print(_memory(variant))
        show_integrity(console, variant.integrity)
    console.print()
    console.print(_calibration(result))


def show_comparison(console: Console, ratios: Iterable[Ratio]) -> None:
    """Print two runs side by side."""
    table = Table("variant", "figure", title="after / before", title_justify="left")
    for column in ("before", "after", "ratio"):
        table.add_column(column, justify="right")
    for each in ratios:
        ratio = "-" if each.ratio is None else f"{each.ratio:.2f}"
        table.add_row(each.variant, each.figure, _number(each.before), _number(each.after), ratio)
    console.print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def show_durability(console: Console, machine: Machine, kept: Durability) -> None:
    """Print where it ran, and what made its writes last."""
    lines = [
        f"{machine.cpus} x {machine.cpu}, {machine.memory_mb:,} MB, Linux {machine.kernel}, "
        f"Python {machine.python}, {machine.filesystem}, commit {machine.commit}",
        f"PostgreSQL {kept.postgres}: fsync={kept.fsync} synchronous_commit={kept.synchronous_commit} "
        f"full_page_writes={kept.full_page_writes} wal_sync_method={kept.wal_sync_method}"
        + (", overridden for a role or database" if kept.overridden_by_role_or_database else ""),
        f"Kafka: acks={kept.kafka_acks}, replication {kept.kafka_replication}, "
        f"min.insync.replicas={kept.kafka_min_insync_replicas}, flush.messages={kept.kafka_flush_messages} "
        "(Kafka's durability is its replicas; here there is one)",
    ]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _show_conditions(console: Console, result: BenchResult) -> None:
    show_durability(console, result.machine, result.durability)
    plan = result.plan
    lines = [
        f"{plan.connections} connections, one POST a job, at most {plan.outstanding:,} jobs without output; "
        f"{plan.warmup_s:g} s warm-up, {plan.seconds:g} s measured, {plan.rounds} round(s); "
        "the end is the record visible to a read_committed consumer",
        "CPU of load generator, watcher and mock is not counted, but they share the machine",
    ]
    if plan.settings:
        lines.append("settings tried: " + ", ".join(f"{name}={value}" for name, value in plan.settings.items()))
    if plan.profiled:
        lines.append(f"UNDER A PROFILER: {', '.join(plan.profiled)}; these are not figures to quote")
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def _show_rate(console: Console, variant: VariantResult) -> None:
    middle = variant.median_round
    rates = ", ".join(f"{each.outputs_per_s:,.0f}" for each in variant.rounds)
    console.print(
        f"[bold]{middle.outputs_per_s:,.0f} jobs/s[/] (rounds: {rates}), "
        f"[bold]{variant.median_total_cpu_ms:.3f} CPU-ms a job[/], "
        f"{middle.commits_a_job:.3f} commits and {middle.wal_bytes_a_job:,.0f} WAL bytes a job; "
        f"machine {middle.machine_busy_share:.0%} busy, {middle.strangers_busy_share:.0%} by strangers, "
        f"{middle.machine_stolen_s:.1f} s stolen by the hypervisor",
        highlight=False,
        soft_wrap=True,
    )
    for number, each in enumerate(variant.rounds, start=1):
        if each.refused or each.unknown:
            console.print(f"[bold red]round {number}: refused {each.refused}, without answer {each.unknown}[/]")


def _cpu(variant: VariantResult) -> Table:
    table = Table("CPU-ms a job", title_justify="left")
    for number in range(1, len(variant.rounds) + 1):
        table.add_column(f"round {number}", justify="right")
    for name in variant.rounds[0].cpu_ms_a_job:
        table.add_row(name, *(f"{each.cpu_ms_a_job[name]:.3f}" for each in variant.rounds))
    table.add_section()
    table.add_row("[bold]total[/]", *(f"[bold]{each.total_cpu_ms_a_job:.3f}[/]" for each in variant.rounds))
    table.add_section()
    for name in variant.rounds[0].uncounted_cpu_ms_a_job:
        table.add_row(
            f"[dim]{name}, not counted[/]",
            *(f"[dim]{each.uncounted_cpu_ms_a_job[name]:.3f}[/]" for each in variant.rounds),
        )
    return table


def _latency(variant: VariantResult) -> Table:
    table = Table("ms")
    for column in ("p50", "p95", "p99", "greatest", "jobs"):
        table.add_column(column, justify="right")

    def rows(name: str, latency: Latency) -> None:
        for kind, values in (("POST to 202", latency.accepted), ("POST to output", latency.result)):
            label = f"{kind}, {latency.rate:g}/s {name}"
            if values is None:
                table.add_row(label, "-", "-", "-", "-", "0")
            else:
                shown = (values.p50, values.p95, values.p99, values.greatest)
                table.add_row(label, *(f"{each:.1f}" for each in shown), str(values.count))

    rows("at rest", variant.latency_at_rest)
    rows("after load", variant.latency_after_load)
    return table


def _show_rest(console: Console, latency: Latency) -> None:
    busiest = sorted(latency.cpu_ms_a_second.items(), key=lambda used: -used[1])
    console.print(
        f"At {latency.rate:g} jobs/s everything together uses {sum(latency.cpu_ms_a_second.values()):.0f} ms of CPU "
        f"a second ({', '.join(f'{name} {used:.0f}' for name, used in busiest)}); "
        f"strangers used {latency.strangers_busy_share:.0%} of the machine",
        highlight=False,
        soft_wrap=True,
    )


def _memory(variant: VariantResult) -> Table:
    table = Table("PSS")
    table.add_column("MB", justify="right")
    for name, size_mb in variant.pss_mb.items():
        table.add_row(name, "not readable" if size_mb is None else f"{size_mb:.0f}")
    table.add_section()
    total = variant.headrace_pss_mb
    table.add_row("[bold]Headrace, without servers[/]", "not readable" if total is None else f"[bold]{total:.0f}[/]")
    return table


def show_integrity(console: Console, found: Integrity) -> None:
    """Print whether every job came out once, and the counts that say so."""
    verdict = "[bold green]holds[/]" if found.holds else "[bold red]BROKEN[/]"
    console.print(
        f"Integrity {verdict}: {found.accepted:,} accepted, {found.outputs:,} outputs ({found.missing} missing, "
        f"{found.twice} twice, {found.strangers} unasked), {found.jobs:,} jobs, {found.attempts:,} attempts, "
        f"{found.not_succeeded} not succeeded, {found.dead_letters} dead letters, "
        f"{found.outbox_rows_left} outbox rows left",
        highlight=False,
        soft_wrap=True,
    )


def _calibration(result: BenchResult) -> Table:
    table = Table("calibration (the servers alone)")
    for variant in result.variants:
        table.add_column(f"before {variant.variant}", justify="right")
    loops = {
        "Kafka produce, 1 KB records": "kafka_produce",
        "Kafka consume": "kafka_consume",
        "Postgres insert, 1 KB rows, 64 a commit": "postgres_insert",
        "JSON round trips of 1 KB": "python_json",
    }
    for title, name in loops.items():
        found = [getattr(variant.calibration, name) for variant in result.variants]
        table.add_row(f"{title}: a second", *(f"{each.per_s:,.0f}" for each in found))
        table.add_row(
            f"{title}: CPU-ms of 1,000, client + server",
            *(f"{each.client_cpu_ms_per_1000:.2f} + {each.server_cpu_ms_per_1000:.2f}" for each in found),
        )
    commits = [variant.calibration.commit_ms_p50 for variant in result.variants]
    table.add_row("Postgres commit of 64 rows: ms p50", *(f"{each:.2f}" for each in commits))
    return table
