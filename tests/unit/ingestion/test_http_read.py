"""The read side as callers meet it. Bodies are held to the models that document them."""

import asyncio
import json
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.errors import DatabaseUnavailable, SearchUnavailable
from ingestion import models
from tests.unit.ingestion.doubles import OTHER_SECRET, READER_SECRET
from tests.unit.ingestion.harness import Api, running_api

OTHER = {"authorization": f"Bearer {OTHER_SECRET}"}


async def submit(api: Api, **fields: Any) -> UUID:
    body = {"recipe": "greet", "input": {"name": "Ada"}, **fields}
    async with api.client.post(api.url + "/api/v1/jobs", json=body) as response:
        assert response.status == 202
        return UUID((await response.json())["id"])


async def get(api: Api, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any, Any]:
    async with api.client.get(api.url + path, headers=headers) as response:
        text = await response.read()
        return response.status, response.headers, json.loads(text) if text else None


async def test_a_job_is_shown_with_its_output_as_stored(api: Api) -> None:
    job_id = await submit(api, tags=["t"], budget_usd="0.5")
    api.jobs.end(job_id)

    status, headers, body = await get(api, f"/api/v1/jobs/{job_id}")

    job = models.Job.model_validate(body)
    assert (status, job.id, job.state, job.output) == (200, job_id, "succeeded", {"greeting": "Hi é"})
    assert (job.budget_usd, job.cost_usd, job.tags) == ("0.500000000", "0.000148000", ["t"])
    assert headers["etag"]


async def test_an_unchanged_job_is_not_sent_again(api: Api) -> None:
    job_id = await submit(api)
    _, headers, _ = await get(api, f"/api/v1/jobs/{job_id}")
    known = {"if-none-match": f'"other", W/{headers["etag"]}'}

    unchanged, unchanged_headers, body = await get(api, f"/api/v1/jobs/{job_id}", known)
    api.jobs.end(job_id)
    changed, _, _ = await get(api, f"/api/v1/jobs/{job_id}", known)

    assert (unchanged, body, changed) == (304, None, 200)
    assert unchanged_headers["etag"] == headers["etag"]


async def test_a_long_poll_answers_when_the_job_ends(api: Api) -> None:
    job_id = await submit(api)
    waiting = asyncio.create_task(get(api, f"/api/v1/jobs/{job_id}?wait=30"))
    await asyncio.sleep(0.05)

    api.jobs.end(job_id)
    status, _, body = await waiting

    assert (status, body["state"]) == (200, "succeeded")


async def test_a_job_of_another_tenant_is_not_there(api: Api) -> None:
    job_id = await submit(api)
    paths = (f"/api/v1/jobs/{job_id}", f"/api/v1/jobs/{job_id}?wait=5", f"/api/v1/jobs/{job_id}/attempts")

    answers = [await get(api, path, OTHER) for path in paths]
    async with api.client.post(api.url + f"/api/v1/jobs/{job_id}/cancel", headers=OTHER) as response:
        answers.append((response.status, None, await response.json()))

    assert {(status, body["code"]) for status, _, body in answers} == {(404, "not_found")}
    assert api.jobs.states[job_id] == "queued"


async def test_jobs_are_listed_in_pages_newest_first(api: Api) -> None:
    submitted = [await submit(api) for _ in range(5)]

    status, headers, first = await get(api, "/api/v1/jobs?limit=2&state=queued&recipe=greet")
    assert status == 200
    following = headers["link"].removeprefix("<").partition(">")[0]
    _, _, second = await get(api, following)
    _, last_headers, third = await get(api, f"/api/v1/jobs?limit=2&cursor={second['next_cursor']}")

    pages = [models.JobPage.model_validate(page) for page in (first, second, third)]
    listed = [job.id for page in pages for job in page.jobs]
    assert listed == sorted(submitted, reverse=True)
    assert 'rel="next"' in headers["link"]
    assert "state=queued" in following
    assert pages[2].next_cursor is None
    assert "link" not in last_headers
    assert "output" not in first["jobs"][0]


async def test_an_empty_page_may_have_a_next_one(api: Api) -> None:
    api.jobs.rest_before = await submit(api)

    _, headers, page = await get(api, "/api/v1/jobs?state=failed")

    assert page["jobs"] == []
    assert f"cursor={page['next_cursor']}" in headers["link"]


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/api/v1/jobs/not-a-uuid", "job_id"),
        ("/api/v1/jobs?limit=0", "limit"),
        ("/api/v1/jobs?limit=many", "limit"),
        ("/api/v1/jobs?state=sleeping", "state"),
        ("/api/v1/jobs?cursor=%21%21", "cursor"),
        ("/api/v1/jobs?cursor=AAAA", "cursor"),
        (f"/api/v1/jobs/{UUID(int=1)}?wait=61", "wait"),
        (f"/api/v1/jobs/{UUID(int=1)}?wait=nan", "wait"),
        ("/api/v1/search", "q"),
        ("/api/v1/search?q=x&limit=51", "limit"),
    ],
)
async def test_a_parameter_that_cannot_be_used_is_named(api: Api, path: str, parameter: str) -> None:
    status, headers, body = await get(api, path)

    assert (status, body["code"]) == (422, "invalid_parameter")
    assert headers["content-type"] == "application/problem+json"
    assert [error["parameter"] for error in body["errors"]] == [parameter]


async def test_attempts_are_shown(api: Api) -> None:
    job_id = await submit(api)

    _, _, body = await get(api, f"/api/v1/jobs/{job_id}/attempts")

    (attempt,) = models.AttemptList.model_validate(body).attempts
    assert (attempt.reserved_usd, attempt.cost_usd) == ("0.002000000", "0.000000001")
    assert attempt.violations[0].pointer == "/a"


async def test_a_queued_job_is_cancelled_and_stays_so(api: Api) -> None:
    job_id = await submit(api)

    for _ in range(2):
        async with api.client.post(api.url + f"/api/v1/jobs/{job_id}/cancel") as response:
            assert (response.status, (await response.json())["state"]) == (200, "cancelled")


async def test_an_ended_job_cannot_be_cancelled(api: Api) -> None:
    job_id = await submit(api)
    api.jobs.end(job_id)

    async with api.client.post(api.url + f"/api/v1/jobs/{job_id}/cancel") as response:
        body = await response.json(content_type=None)

    assert (response.status, body["code"]) == (409, "job_ended")


async def test_a_batch_is_shown_to_its_owner_alone(api: Api) -> None:
    jobs = [{"recipe": "greet", "input": {"name": "Ada"}}] * 2
    async with api.client.post(api.url + "/api/v1/batches", json=jobs) as response:
        batch_id = (await response.json())["id"]

    mine, _, body = await get(api, f"/api/v1/batches/{batch_id}")
    theirs, _, _ = await get(api, f"/api/v1/batches/{batch_id}", OTHER)

    assert (mine, theirs) == (200, 404)
    assert models.Batch.model_validate(body).total == 2


async def test_recipes_are_listed_and_shown_with_their_schemas(api: Api) -> None:
    reader = {"authorization": f"Bearer {READER_SECRET}"}
    _, _, listed = await get(api, "/api/v1/recipes", reader)
    _, _, shown = await get(api, "/api/v1/recipes/greet", reader)
    missing, _, _ = await get(api, "/api/v1/recipes/nobody", reader)

    newest = {r.reference: r.newest for r in models.RecipeList.model_validate(listed).recipes}
    assert newest == {"greet@1.0.0": False, "greet@1.1.0": True}
    versions = models.RecipeVersions.model_validate(shown).versions
    assert [v.version for v in versions] == ["1.1.0", "1.0.0"]
    assert versions[0].input_schema["required"] == ["name"]
    assert missing == 404


async def test_search_asks_for_the_callers_tenant_alone(api: Api) -> None:
    status, _, body = await get(api, "/api/v1/search?q=hi&recipe=greet&limit=3", OTHER)

    assert status == 200
    assert models.SearchResult.model_validate(body).hits[0].highlights == ["<em>Hi</em>"]
    assert api.search.asked == [("other", "hi", "greet", 3)]


async def test_search_that_is_away_says_so(api: Api) -> None:
    api.search.trouble = SearchUnavailable("gone")

    status, headers, body = await get(api, "/api/v1/search?q=hi")

    assert (status, body["code"]) == (503, "search_unavailable")
    assert headers["retry-after"]


async def test_a_database_that_is_away_is_a_503(api: Api) -> None:
    job_id = await submit(api)
    api.jobs.trouble = DatabaseUnavailable("gone")

    status, headers, body = await get(api, f"/api/v1/jobs/{job_id}")

    assert (status, body["code"], headers["retry-after"]) == (503, "storage_unavailable", "2")


async def test_a_bug_in_a_route_is_a_500_without_its_text(api: Api) -> None:
    job_id = await submit(api)
    api.jobs.trouble = RuntimeError("secret")

    status, headers, body = await get(api, f"/api/v1/jobs/{job_id}")

    assert (status, body["code"]) == (500, "internal_error")
    assert "secret" not in json.dumps(body)
    assert headers["x-request-id"] == body["request_id"]


@pytest.mark.parametrize("path", ["/", "/nothing", "/api/v1", "/api/v1/jobs/", "/api/v2/jobs", "/docs/secret.js"])
async def test_unknown_addresses_are_problems_too(api: Api, path: str) -> None:
    status, headers, body = await get(api, path)

    assert (status, body["code"], headers["content-type"]) == (404, "not_found", "application/problem+json")


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/api/v1/jobs"), ("GET", f"/api/v1/jobs/{UUID(int=1)}/cancel"), ("GET", "/api/v1/batches"),
     ("PUT", f"/api/v1/jobs/{uuid4()}"), ("POST", "/api/v1/recipes"), ("POST", "/api/v1/health")],
)  # fmt: skip
async def test_other_methods_are_problems_that_say_what_is_allowed(api: Api, method: str, path: str) -> None:
    async with api.client.request(method, api.url + path) as response:
        body = await response.json(content_type=None)

    assert (response.status, body["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"]


async def test_reading_needs_a_key_and_its_scope(api: Api) -> None:
    none, _, _ = await get(api, "/api/v1/jobs", {"authorization": ""})
    reader, _, _ = await get(api, "/api/v1/jobs", {"authorization": f"Bearer {READER_SECRET}"})

    assert (none, reader) == (401, 403)


async def test_docs_and_document_need_no_key_and_no_other_address(api: Api) -> None:
    nobody = {"authorization": ""}
    async with api.client.get(api.url + "/docs", headers=nobody) as response:
        page = await response.text()
    status, _, document = await get(api, "/openapi.json", nobody)
    async with api.client.get(api.url + "/docs/swagger-ui-bundle.js", headers=nobody) as asset:
        size = len(await asset.read())

    assert (response.status, status, asset.status) == (200, 200, 200)
    assert "http" not in page.replace('lang="en"', "")
    assert document["paths"]["/api/v1/jobs"]["post"]
    assert size > 1_000_000


async def test_health_under_both_spellings(api: Api) -> None:
    for path in ("/health/live", "/health/ready", "/api/v1/health/live", "/api/v1/health/ready", "/api/v1/health"):
        assert (await get(api, path, {"authorization": ""}))[0] == 200

    api.health.draining = True

    assert (await get(api, "/health/live"))[0] == 200
    assert (await get(api, "/health/ready"))[2] == {"status": "not-ready", "reason": "draining"}
    status, _, body = await get(api, "/api/v1/health")
    assert (status, models.ServiceHealth.model_validate(body).status) == (503, "unavailable")


async def test_metrics_are_for_this_machine_and_carry_no_ids() -> None:
    async with running_api() as api:
        job_id = await submit(api)
        await get(api, f"/api/v1/jobs/{job_id}")
        await get(api, "/api/v1/nothing/of/the/kind")

        async with api.client.get(api.url + "/metrics") as response:
            text = await response.text()
        async with api.client.get(api.url + "/metrics", headers={"x-forwarded-for": "9.9.9.9"}) as proxied:
            assert proxied.status == 403

    assert 'headrace_http_requests_total{method="GET",route="/api/v1/jobs/{job_id}",status="200"} 1.0' in text
    assert 'route="unmatched",status="404"' in text
    assert str(job_id) not in text
    assert "acme" not in text
