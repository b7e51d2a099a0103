"""Usage: what ended calls cost, by tenant, recipe and UTC day.

Each settled micro-batch appends what it adds (``settle_3``), so no row is hot and the ledger needs no index for it;
the sweeper folds that into one row a day. Both together are exact at any time: they are written with the ledger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from common.control_ports import UsageGroup, UsageRow
from persistence.postgres.pool import Connection, Pool, connection

_SUMS: Final = (
    "attempts", "answered", "failed", "unknown", "rebought", "input_tokens", "cached_tokens", "output_tokens",
    "cost_nanos", "estimated_nanos",
)  # fmt: skip
_SUMMED: Final = ", ".join(f"sum({name})::bigint as {name}" for name in _SUMS)

_ADD = """
insert into usage_deltas (tenant_id, recipe, day, attempts, unknown, rebought, cost_nanos, estimated_nanos)
select u.tenant, u.recipe, (clock_timestamp() at time zone 'UTC')::date, sum(u.charged), sum(u.charged),
       sum(u.rebought), sum(u.cost), sum(u.cost)
  from unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::bigint[])
         u(tenant, recipe, charged, rebought, cost)
 group by u.tenant, u.recipe
"""

_FOLD = f"""
with gone as (
  delete from usage_deltas d where d.id = any(array(
    select id from usage_deltas order by id limit $1 for update skip locked)) returning d.*),
folded as (
  insert into usage_days as u (tenant_id, day, recipe, {", ".join(_SUMS)})
  select tenant_id, day, recipe, {_SUMMED} from gone group by tenant_id, day, recipe
   order by tenant_id, day, recipe
  on conflict (tenant_id, day, recipe) do update
     set {", ".join(f"{name} = u.{name} + excluded.{name}" for name in _SUMS)})
select count(*) from gone
"""  # noqa: S608 - made of constants


@dataclass(frozen=True, slots=True)
class Charge:
    """What the ledger's slow path adds: an attempt charged whole, or one made again."""

    tenant_id: str
    recipe: str
    charged: int = 0
    rebought: int = 0
    cost_nanos: int = 0


async def add_usage(lent: Connection, charges: Sequence[Charge]) -> None:
    """Add to usage, inside the transaction that writes the ledger."""
    if charges:
        await lent.execute(
            _ADD,
            [c.tenant_id for c in charges],
            [c.recipe for c in charges],
            [c.charged for c in charges],
            [c.rebought for c in charges],
            [c.cost_nanos for c in charges],
        )


async def fold_usage(pool: Pool, limit: int) -> int:
    """Fold up to ``limit`` additions into their days; return how many there were."""
    async with connection(pool) as lent:
        return int(await lent.fetchval(_FOLD, limit))


class PostgresUsage:
    """``common.control_ports.Usage`` over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def usage(
        self, tenant_id: str | None, first: date, last: date, group_by: frozenset[UsageGroup]
    ) -> Sequence[UsageRow]:
        """Return the sums of these days, both included; as many rows as there are groups, in their order."""
        columns = {UsageGroup.TENANT: "tenant_id", UsageGroup.DAY: "day", UsageGroup.RECIPE: "recipe"}
        keys = [columns[group] for group in columns if group in group_by]
        chosen = ", ".join([*keys, _SUMMED])
        grouped = f" group by {', '.join(keys)} order by {', '.join(keys)}" if keys else ""
        source = ", ".join(("tenant_id", "day", "recipe", *_SUMS))
        bounded = "where day between $2 and $3 and ($1::text is null or tenant_id = $1)"
        # One statement, one snapshot: what is being folded is neither missed nor counted twice.
        statement = (
            f"select {chosen} from (select {source} from usage_days {bounded}"  # noqa: S608 - made of constants
            f" union all select {source} from usage_deltas {bounded}) u{grouped}"
        )
        async with connection(self._pool) as lent:
            rows = await lent.fetch(statement, tenant_id, first, last)
        return [
            UsageRow(
                tenant_id=row["tenant_id"] if UsageGroup.TENANT in group_by else tenant_id,
                recipe=row["recipe"] if UsageGroup.RECIPE in group_by else None,
                day=row["day"] if UsageGroup.DAY in group_by else None,
                **{name: row[name] or 0 for name in _SUMS},
            )
            for row in rows
        ]
