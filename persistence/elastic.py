"""The Elasticsearch edge: requests over the official client's transport, the outputs index and its mapping.

The client makes the transport and its methods stay unused: they check for a vendor header that other engines do
not send. The server may be bare (no English analyzer, no ``GET /``, no delete by query): only its core is used.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from elastic_transport import TransportError
from elastic_transport.client_utils import url_to_node_config
from elasticsearch import AsyncElasticsearch
from pydantic import SecretStr

from common.cancellation import heed_cancellation
from common.errors import ConfigurationError, SearchUnavailable
from common.schema import dump_json

_TIMEOUT_S: Final = 10.0
_PROBE_TIMEOUT_S: Final = 2.0
_JSON: Final = "application/json"
_NDJSON: Final = "application/x-ndjson"

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


@dataclass(frozen=True, slots=True)
class Reply:
    """A status and its JSON body."""

    status: int
    body: Mapping[str, Any]

    @property
    def error_type(self) -> str:
        """What kind of error it tells, in Elasticsearch's words; never the query or a document."""
        error = self.body.get("error")
        return str(error.get("type", "unknown")) if isinstance(error, dict) else "unknown"

    def unavailable(self) -> SearchUnavailable:
        """Return the error to raise for an answer that may be different later."""
        return SearchUnavailable(f"Elasticsearch answered {self.status} ({self.error_type})")


class SearchServer:
    """One user's connections; connects when first used and leaves repeating to its caller."""

    def __init__(self, url: SecretStr, *, timeout_s: float = _TIMEOUT_S) -> None:
        try:
            node = url_to_node_config(url.get_secret_value(), use_default_ports_for_scheme=True)
        except ValueError:
            raise ConfigurationError("HEADRACE_ELASTICSEARCH_URL is not a URL such as http://127.0.0.1:9200") from None
        self._transport = AsyncElasticsearch([node], max_retries=0, retry_on_timeout=False).transport
        self._timeout_s = timeout_s

    async def request(self, method: str, target: str, body: bytes | None = None, *, kind: str = _JSON) -> Reply:
        """Return what it answered, whatever the status. Raises SearchUnavailable when it does not answer."""
        headers = {"accept": _JSON} if body is None else {"accept": _JSON, "content-type": kind}
        try:
            answer = await self._transport.perform_request(
                method, target, body=body, headers=headers, request_timeout=self._timeout_s
            )
        except TransportError as error:
            heed_cancellation(error)
            raise SearchUnavailable(f"Elasticsearch is not answering: {type(error).__name__}") from error
        told = answer.body
        return Reply(answer.meta.status, told if isinstance(told, dict) else {})

    async def bulk(self, index: str, lines: Iterable[Mapping[str, Any]]) -> Reply:
        """Send one bulk request of these lines."""
        body = b"".join(dump_json(line) + b"\n" for line in lines)
        wanted = "errors,error.type,items.*.status,items.*.error.type"
        return await self.request("POST", f"/{index}/_bulk?filter_path={wanted}", body, kind=_NDJSON)

    async def close(self) -> None:
        """Close its connections."""
        await self._transport.close()


def outputs_index(installation: str) -> str:
    """Return the name of the index of outputs."""
    return f"{installation}-outputs"


async def ensure_index(server: SearchServer, name: str) -> None:
    """Create the index with its explicit mapping, unless it is there. Raises SearchUnavailable."""
    if (await server.request("HEAD", f"/{name}")).status == 200:
        return
    created = await server.request("PUT", f"/{name}", orjson.dumps({"mappings": MAPPING, "settings": SETTINGS}))
    if created.status >= 300 and created.error_type != "resource_already_exists_exception":
        raise created.unavailable()


class SearchProbe:
    """Health: does Elasticsearch answer?"""

    name = "elasticsearch"

    def __init__(self, url: SecretStr) -> None:
        self._server = SearchServer(url, timeout_s=_PROBE_TIMEOUT_S)

    async def check(self) -> None:
        """Raise SearchUnavailable when it does not. (A bare server has no ``GET /`` to ping.)"""
        reply = await self._server.request("GET", "/_cluster/health?filter_path=status")
        if reply.status != 200:
            raise reply.unavailable()

    async def close(self) -> None:
        """Close its connections."""
        await self._server.close()
