"""Plans cached while the outbox was empty stay right when it is full."""

from typing import Any

import orjson
import pytest

from persistence.postgres import outbox
from tests.integration.relay.relay_world import World

pytestmark = pytest.mark.stack

_NIL = "'00000000-0000-0000-0000-000000000000'"
STATEMENTS = {
    "ready": (
        outbox._READY,
        "smallint, smallint, text[], int[], timestamptz[], uuid[]",
        "0, 1, array['t1','t2'], array[50,50], array['-infinity','-infinity']::timestamptz[],"
        f" array[{_NIL},{_NIL}]::uuid[]",
        "outbox_ready",
    ),
    "ready_tenants": (outbox._READY_TENANTS, "smallint", "0", "outbox_ready"),
    "delete_ready": (outbox._DELETE_READY, "uuid[], bigint[]", f"array[{_NIL}]::uuid[], array[1]", "outbox_pkey"),
    "public": (outbox._PUBLIC, "smallint, int", "0, 100", "outbox_public"),
    "delete_public": (outbox._DELETE_PUBLIC, "smallint, bigint[]", "0, array[-1,-2]", "outbox_public"),
    "promote": (outbox._PROMOTE, "smallint, int", "0, 100", "outbox_later"),
    "next_due": (outbox._NEXT_DUE, "smallint", "0", "outbox_later"),
}


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every node of a plan."""
    return [plan, *(node for child in plan.get("Plans", ()) for node in nodes(child))]


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_plan_made_on_an_empty_outbox_uses_its_index_on_a_full_one(world: World, name: str) -> None:
    sql, types, values, index = STATEMENTS[name]
    await world.connection.execute("alter table outbox set (autovacuum_enabled = off)")
    await world.connection.execute(f"prepare hot({types}) as {sql}")
    for _ in range(8):
        await world.connection.execute(f"execute hot({values})")

    await world.connection.execute(
        "insert into outbox (id, shard, lane, tenant_id, topic, job_id, body, not_before)"
        " select gen_random_uuid(), 0, n % 5, 't' || n % 100, 1, gen_random_uuid(), 'b',"
        " case when n % 7 = 0 then now() + interval '1 day' end from generate_series(1, 50000) n"
    )
    (line,) = await world.connection.fetchrow(f"explain (format json) execute hot({values})") or ("[]",)
    plan = nodes(orjson.loads(line)[0]["Plan"])

    assert index in {node.get("Index Name") for node in plan}
    assert "Seq Scan" not in {node["Node Type"] for node in plan if node.get("Relation Name") == "outbox"}
