"""Values at the edge of what columns take, through the real service to Postgres: never a 500, none refused there."""

from typing import Any

import pytest

from persistence.postgres.keys import PostgresKeyStore
from persistence.postgres.operations import PostgresOperations
from persistence.postgres.pool import Pool
from tests.integration.ingestion.conftest import JOB, Start

pytestmark = pytest.mark.stack

MOST = 2**63 - 1
OPERATIONS = "operations"
REQUESTS: list[tuple[str, str, Any, int]] = [
    ("GET", "usage?from=9999-12-01&to=9999-12-31", None, 200),
    ("GET", "usage?from=0001-01-01&to=0001-01-31&group_by=tenant,recipe,day&tenant=x", None, 200),
    ("GET", "usage?group_by=recipe,month", None, 422),
    ("GET", f"dead-letters?before={MOST}", None, 200),
    ("GET", f"dead-letters?before={MOST + 1}", None, 422),
    ("GET", f"dead-letters/{MOST}", None, 404),
    ("POST", f"dead-letters/{MOST}/replay", None, 404),
    ("GET", f"budgets?after={MOST}&key=%F0%9F%98%80", None, 200),
    ("GET", "errors?hours=720&stage='%3B", None, 200),
    ("GET", "jobs?recipe=%00", None, 422),
    ("GET", "jobs?recipe=%5C", None, 200),
    ("GET", "jobs?cursor=" + "_" * 22, None, 200),
    ("PUT", "budgets", {"scope": "tenant", "limit_usd": "1000000000", "tenant": "\U0010ffff" * 200}, 200),
    ("PUT", "budgets", {"scope": "tenant", "limit_usd": "1e-1000200"}, 422),
    ("PUT", "budgets", {"scope": "recipe", "key": "a\0", "limit_usd": "1"}, 400),
    ("POST", OPERATIONS, {"action": "cancel", "filter": {"tag": "\0"}}, 400),
    ("POST", OPERATIONS, {"action": "cancel", "filter": {"created_before": "0001-01-01T00:00:00+23:00"}}, 422),
    ("POST", OPERATIONS, {"action": "cancel", "filter": {"created_before": "0001-01-01T00:00:00Z"}}, 202),
    ("POST", OPERATIONS, {"action": "cancel", "filter": {"created_after": "9999-12-31T23:59:59.999999Z"}}, 202),
]


async def test_no_value_of_a_caller_ends_in_a_500(start: Start, pool: Pool) -> None:
    key = await PostgresKeyStore(pool).create("acme", ["jobs", "operator"])
    headers = {"authorization": f"Bearer {key}"}
    async with start() as service:
        await service.until_ready()
        for method, path, body, expected in REQUESTS:
            url = f"{service.url}/api/v1/{path}"
            async with service.client.request(method, url, json=body, headers=headers) as response:
                assert response.status == expected, (path, body, await response.text())
        assert not [line for line in service.lines if '"level":"error"' in line]

    operations = PostgresOperations(pool, shards=4, source="test")
    while (worked := await operations.work(100)) is not None:
        assert worked.changed == 0


async def test_a_recipe_is_listed_by_its_name_not_by_a_pattern(start: Start, pool: Pool) -> None:
    async with start() as service:
        await service.until_ready()
        async with service.client.post(service.url + "/api/v1/jobs", json=JOB) as response:
            assert response.status == 202
        found = {}
        for name in ("ticket-triage", "ticket-triage@1.0.0", "ticket_triage", "%25", "ticket"):
            async with service.client.get(f"{service.url}/api/v1/jobs?recipe={name}") as response:
                found[name] = len((await response.json())["jobs"])

    assert found == {"ticket-triage": 1, "ticket-triage@1.0.0": 1, "ticket_triage": 0, "%25": 0, "ticket": 0}
