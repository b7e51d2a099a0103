"""Outputs into a real Elasticsearch and out again."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from common.errors import SearchUnavailable
from common.ids import uuid7
from common.kafka.consumer import Delivery
from common.outcomes import Done, Reject
from common.pipeline import Topic
from common.search_port import SearchHit
from headrace.local.stack import Endpoints
from persistence.elastic import SearchProbe
from persistence.indexer import Indexer
from persistence.search import ElasticsearchSearch

pytestmark = pytest.mark.stack


class Searching:
    """An installation of its own: what is indexed, and the search over it."""

    def __init__(self, url: str) -> None:
        installation = f"t{uuid.uuid4().hex[:10]}"
        self.indexer = Indexer(SecretStr(url), installation)
        self.search = ElasticsearchSearch(SecretStr(url), installation)

    async def close(self) -> None:
        await self.indexer.close()
        await self.search.close()

    async def until(self, total: int, query: str, tenant_id: str = "acme", **narrow: Any) -> Sequence[SearchHit]:
        """Search until there are so many: the index refreshes once a second."""
        async with asyncio.timeout(30):
            while True:
                found, hits = await self.search.search(tenant_id, query, **{"recipe": None, "limit": 10, **narrow})
                if found == total:
                    return hits
                await asyncio.sleep(0.1)


@pytest.fixture
async def searching(endpoints: Endpoints) -> AsyncIterator[Searching]:
    assert endpoints.elasticsearch_url is not None
    searching = Searching(endpoints.elasticsearch_url)
    yield searching
    await searching.close()


def record(output: Any, *, job_id: UUID | None = None, revision: int = 2, **fields: Any) -> bytes:
    lineage = {
        "recipe_hash": "r", "prompt_hash": "p", "deployment": "d", "model_served": "m", "price_version": "v",
        "attempts": 1, "input_tokens": 5, "output_tokens": 6, "cost_usd": "0.000000001", "validation": "strict",
        "accepted_at": "2026-11-21T10:00:00+00:00", "finished_at": "2026-11-21T10:00:01+00:00",
    }  # fmt: skip
    whole = {
        "job_id": str(job_id or uuid7()),
        "tenant_id": "acme",
        "recipe": "package-card@1.0.0",
        "lane": "standard",
        "revision": revision,
        "output": output,
        "lineage": lineage,
        **fields,
    }
    return json.dumps(whole).encode()


def delivery(value: bytes | None, offset: int = 0) -> Delivery:
    return Delivery(Topic.OUTPUTS, "t.outputs", 0, offset, None, value, ())


async def index(searching: Searching, *values: bytes | None) -> list[Any]:
    return list(await searching.indexer.handle([delivery(value, n) for n, value in enumerate(values)]))


async def test_an_output_is_found_by_its_words_with_highlights(searching: Searching) -> None:
    output = {"summary": "An HTTP client for Python", "keywords": ["requests", "async"], "nested": {"n": [1, "Lazy"]}}
    job_id = uuid7()

    assert await index(searching, record(output, job_id=job_id)) == [Done("indexed")]

    (hit,) = await searching.until(1, "http client")
    assert (hit.job_id, hit.recipe, hit.output) == (job_id, "package-card@1.0.0", output)
    assert any("<em>HTTP</em>" in part for part in hit.highlights)
    assert hit.finished_at.startswith("2026-11-21T10:00:01")
    assert await searching.until(1, "LAZY")


async def test_each_tenant_finds_its_own_and_recipes_narrow(searching: Searching) -> None:
    await index(
        searching,
        record({"text": "shared words"}),
        record({"text": "shared words"}, recipe="package-card@2.0.0"),
        record({"text": "shared words"}, recipe="other@1.0.0"),
        record({"text": "shared words"}, tenant_id="rival"),
    )

    assert len(await searching.until(3, "shared")) == 3
    assert len(await searching.until(1, "shared", tenant_id="rival")) == 1
    assert len(await searching.until(2, "shared", recipe="package-card")) == 2
    assert len(await searching.until(1, "shared", recipe="package-card@2.0.0")) == 1
    assert len(await searching.until(3, "shared", limit=1)) == 1


async def test_a_record_that_comes_twice_or_late_changes_nothing(searching: Searching) -> None:
    job_id = uuid7()
    newest = record({"text": "newest"}, job_id=job_id, revision=5)

    first = await index(searching, newest)
    again = await index(searching, newest, record({"text": "stale"}, job_id=job_id, revision=3))

    assert first + again == [Done("indexed")] * 3
    assert await searching.until(1, "newest")
    assert not await searching.until(0, "stale")


async def test_poison_is_rejected_and_its_neighbours_are_indexed(searching: Searching) -> None:
    outcomes = await index(
        searching, b"{}", record({"text": "neighbour"}), None, b"\xff", record("plain text", tags="x")
    )

    assert [type(outcome) for outcome in outcomes] == [Reject, Done, Reject, Reject, Reject]
    assert await searching.until(1, "neighbour")


@pytest.mark.parametrize("output", ["words alone", ["words", {"a": None}], 5, None, {"n": 10**30}, {"": {"": "words"}}])
async def test_an_output_may_be_any_json(searching: Searching, output: Any) -> None:
    assert await index(searching, record(output), record({"text": "marker"})) == [Done("indexed")] * 2

    await searching.until(1, "marker")


async def test_before_anything_is_published_nothing_is_found(searching: Searching) -> None:
    assert await searching.search.search("acme", "anything", recipe=None, limit=5) == (0, ())


@pytest.mark.parametrize("query", ['"', "a AND (", "*", "\\", "{}", "💥", "x" * 500, "a " * 250])
async def test_no_query_is_an_error(searching: Searching, query: str) -> None:
    await index(searching, record({"text": "something"}))

    assert await searching.search.search("acme", query, recipe=None, limit=5) is not None


async def test_an_absent_server_is_unavailable_to_all_three() -> None:
    nowhere = SecretStr("http://127.0.0.1:1")
    indexer, search, probe = Indexer(nowhere, "t"), ElasticsearchSearch(nowhere, "t"), SearchProbe(nowhere)

    with pytest.raises(SearchUnavailable):
        await indexer.handle([delivery(record({"text": "x"}))])
    with pytest.raises(SearchUnavailable):
        await search.search("acme", "x", recipe=None, limit=1)
    with pytest.raises(SearchUnavailable):
        await probe.check()

    await asyncio.gather(indexer.close(), search.close(), probe.close())
