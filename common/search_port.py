"""The port of full-text search, as a protocol: ``persistence`` implements it over Elasticsearch; others may fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One output found by full-text search."""

    job_id: UUID
    recipe: str
    score: float
    output: Any
    highlights: tuple[str, ...]
    finished_at: str


class Search(Protocol):
    """Full-text search over a tenant's outputs. Raises SearchUnavailable."""

    async def search(
        self, tenant_id: str, query: str, *, recipe: str | None, limit: int
    ) -> tuple[int, Sequence[SearchHit]]: ...
