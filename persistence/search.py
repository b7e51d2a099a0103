"""Full-text search over outputs, in Elasticsearch. Always within one tenant; may lag behind by seconds."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import SecretStr

from common.search_port import SearchHit
from persistence.elastic import SearchServer, outputs_index

_TIMEOUT_S: Final = 5.0
_HIGHLIGHT: Final[Mapping[str, Any]] = {
    "type": "unified",
    "fields": {"text": {"number_of_fragments": 3, "fragment_size": 160}},
}


class ElasticsearchSearch:
    """``common.ports.Search``."""

    def __init__(self, url: SecretStr, installation: str) -> None:
        self._server = SearchServer(url, timeout_s=_TIMEOUT_S)
        self._index = outputs_index(installation)

    async def search(
        self, tenant_id: str, query: str, *, recipe: str | None, limit: int
    ) -> tuple[int, Sequence[SearchHit]]:
        """Return how many outputs match and the best of them. Raises SearchUnavailable."""
        within: list[Mapping[str, Any]] = [{"term": {"tenant_id": tenant_id}}]
        if recipe is not None:
            within.append({"term": {"recipe" if "@" in recipe else "recipe_name": recipe}})
        asked = {
            "query": {"bool": {"must": [{"match": {"text": query}}], "filter": within}},
            "highlight": _HIGHLIGHT,
            "_source": ["recipe", "output", "finished_at"],
            "size": limit,
            "track_total_hits": True,
        }
        answer = await self._server.request("POST", f"/{self._index}/_search", orjson.dumps(asked))
        if answer.status == 404:
            # No index: nothing has been published yet.
            return 0, ()
        if answer.status != 200:
            raise answer.unavailable()
        hits = answer.body["hits"]
        return hits["total"]["value"], [_hit(found) for found in hits["hits"]]

    async def close(self) -> None:
        """Close its connections."""
        await self._server.close()


def _hit(found: Mapping[str, Any]) -> SearchHit:
    source = found["_source"]
    return SearchHit(
        job_id=UUID(found["_id"]),
        recipe=source["recipe"],
        score=found["_score"],
        output=source["output"],
        highlights=tuple(found.get("highlight", {}).get("text", ())),
        finished_at=source["finished_at"],
    )
