"""The indexer stage: outputs topic → Elasticsearch. A projection: it may lag, or be filled anew from the topic.

Document id = job id, external version = the job's revision, so a record that comes twice or late changes nothing.
While Elasticsearch is away it raises SearchUnavailable and the runner repeats the batch.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import SecretStr, ValidationError

from common.contracts import OutputRecord
from common.errors import SearchUnavailable
from common.failpoint import failpoint
from common.kafka.consumer import Delivery
from common.outcomes import Done, Outcome, Reject
from persistence.elastic import SearchProbe, SearchServer, ensure_index, outputs_index

__all__ = ["Indexer", "SearchProbe"]

_LONGEST_TEXT: Final = 1_000_000
_MOST_BULK_BYTES: Final = 8 << 20
_CONFLICT: Final = 409


class Indexer:
    """A batch stage of ``common.runner``."""

    def __init__(self, url: SecretStr, installation: str) -> None:
        self._server = SearchServer(url)
        self._index = outputs_index(installation)
        self._ensured = False

    async def close(self) -> None:
        """Close its connections."""
        await self._server.close()

    async def handle(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """Index the records; one that is not an output, or that the mapping cannot take, is rejected."""
        outcomes: list[Outcome] = [Done("indexed") for _ in batch]
        documents: list[tuple[int, OutputRecord]] = []
        for place, delivery in enumerate(batch):
            try:
                documents.append((place, OutputRecord.model_validate_json(delivery.value or b"")))
            except ValidationError as error:
                faults = ", ".join(".".join(map(str, e["loc"])) or "(root)" for e in error.errors()[:5])
                outcomes[place] = Reject(f"not an output record: {faults}", "UndecodableMessage")
        if not self._ensured:
            await ensure_index(self._server, self._index)
            self._ensured = True
        for part in _parts(batch, documents):
            for place, refusal in await self._bulk(part):
                outcomes[place] = refusal
        failpoint("indexer.after_bulk")
        return outcomes

    async def _bulk(self, part: Sequence[tuple[int, OutputRecord]]) -> list[tuple[int, Outcome]]:
        """Send one bulk; return what the mapping refused. Raises SearchUnavailable where repeating may help."""
        answer = await self._server.bulk(self._index, (line for _, record in part for line in _lines(record)))
        if answer.status != 200:
            self._ensured = self._ensured and answer.status != 404
            raise answer.unavailable()
        if not answer.body["errors"]:
            return []
        refused: list[tuple[int, Outcome]] = []
        for (place, _), item in zip(part, answer.body["items"], strict=True):
            result = item["index"]
            status = result["status"]
            # 409: this revision or a newer one is indexed already.
            if status < 300 or status == _CONFLICT:
                continue
            kind = result.get("error", {}).get("type", "unknown")
            if status == 400:
                refused.append((place, Reject(f"Elasticsearch refused the document: {kind}", "DocumentRefused")))
                continue
            self._ensured = self._ensured and status != 404
            raise SearchUnavailable(f"Elasticsearch answered {status} ({kind}) to a document")
        return refused


def _lines(record: OutputRecord) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    lineage = record.lineage
    action = {"index": {"_id": str(record.job_id), "version": record.revision, "version_type": "external"}}
    document = {
        "tenant_id": record.tenant_id,
        "batch_id": None if record.batch_id is None else str(record.batch_id),
        "recipe": record.recipe,
        "recipe_name": record.recipe.partition("@")[0],
        "lane": record.lane.value,
        "tags": record.tags,
        "model_served": lineage.model_served,
        "attempts": lineage.attempts,
        "cost_usd": lineage.cost_usd,
        "accepted_at": lineage.accepted_at.isoformat(),
        "finished_at": lineage.finished_at.isoformat(),
        "text": text_of(record.output),
        "output": record.output,
    }
    return action, document


def text_of(output: Any) -> str:
    """Return every string of an output, in order, one a line, cut where no reader would go on."""
    return "\n".join(_strings(output))[:_LONGEST_TEXT]


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for member in value.values():
                yield from _strings(member)
        case list():
            for item in value:
                yield from _strings(item)


def _parts(
    batch: Sequence[Delivery], documents: Sequence[tuple[int, OutputRecord]]
) -> Iterator[list[tuple[int, OutputRecord]]]:
    """Cut a batch into bulks of bounded size."""
    part: list[tuple[int, OutputRecord]] = []
    size_bytes = 0
    for place, record in documents:
        size_bytes += len(batch[place].value or b"")
        if part and size_bytes > _MOST_BULK_BYTES:
            yield part
            part, size_bytes = [], len(batch[place].value or b"")
        part.append((place, record))
    if part:
        yield part
