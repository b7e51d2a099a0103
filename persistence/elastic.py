"""The Elasticsearch edge: one client a user, its errors as SearchUnavailable, the index and its mapping.

The server may be bare (no English analyzer, no ``GET /``, no delete by query), so only the core is used.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from elastic_transport import ConnectionError as TransportConnectionError
from elastic_transport import TransportError
from elasticsearch import ApiError, AsyncElasticsearch
from pydantic import SecretStr

from common.errors import SearchUnavailable

_TIMEOUT_S: Final = 10.0
_PROBE_TIMEOUT_S: Final = 2.0

MAPPING: Final[Mapping[str, Any]] = {
    "dynamic": False,
    "properties": {
        "tenant_id": {"type": "keyword"},
        "batch_id": {"type": "keyword"},
        "recipe": {"type": "keyword"},
        "recipe_name": {"type": "keyword"},
        "lane": {"type": "keyword"},
        "tags": {"type": "keyword"},
        "model_served": {"type": "keyword"},
        "attempts": {"type": "integer"},
        "cost_usd": {"type": "double"},
        "accepted_at": {"type": "date"},
        "finished_at": {"type": "date"},
        "text": {"type": "text", "analyzer": "standard", "index_options": "offsets"},
        "output": {"type": "object", "enabled": False},
    },
}
SETTINGS: Final[Mapping[str, Any]] = {
    "number_of_shards": 1,
    "auto_expand_replicas": "0-1",
    "refresh_interval": "1s",
    # A search highlights texts as long as an output may be.
    "highlight.max_analyzed_offset": 10_000_000,
}


def connect(url: SecretStr, *, timeout_s: float = _TIMEOUT_S) -> AsyncElasticsearch:
    """Return a client that connects when first used and leaves repeating to its caller."""
    return AsyncElasticsearch(url.get_secret_value(), request_timeout=timeout_s, max_retries=0, retry_on_timeout=False)


def outputs_index(installation: str) -> str:
    """Return the name of the index of outputs."""
    return f"{installation}-outputs"


async def ensure_index(client: AsyncElasticsearch, name: str) -> None:
    """Create the index with its explicit mapping, unless it is there. Raises SearchUnavailable."""
    with search_errors():
        if await client.indices.exists(index=name):
            return
        try:
            await client.indices.create(index=name, mappings=MAPPING, settings=SETTINGS)
        except ApiError as error:
            if error.status_code != 400 or error.error != "resource_already_exists_exception":
                raise


@contextmanager
def search_errors() -> Iterator[None]:
    """Turn the client's errors into SearchUnavailable; the text has the kind of error and no payload."""
    try:
        yield
    except ApiError as error:
        raise SearchUnavailable(f"Elasticsearch answered {error.status_code} ({error.error})") from error
    except (TransportError, TransportConnectionError) as error:
        raise SearchUnavailable(f"Elasticsearch is not answering: {type(error).__name__}") from error


class SearchProbe:
    """Health: does Elasticsearch answer?"""

    name = "elasticsearch"

    def __init__(self, url: SecretStr) -> None:
        self._client = connect(url, timeout_s=_PROBE_TIMEOUT_S)

    async def check(self) -> None:
        """Raise SearchUnavailable when it does not. (A bare server has no ``GET /`` to ping.)"""
        with search_errors():
            await self._client.cluster.health()

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()
