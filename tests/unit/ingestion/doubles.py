"""Our own ports, in memory: for the behaviour of HTTP and of pure decisions. Servers are never doubled."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

from common.errors import DatabaseUnavailable
from common.ports import (
    AttemptView,
    BatchView,
    IdempotencyClaim,
    JobView,
    NewJob,
    Principal,
    Submission,
    SubmitKind,
    SubmitResult,
)
from common.recipes import RecipeCatalogue, from_bundle
from common.search_port import SearchHit

SECRET = "hr_" + "a" * 43
OTHER_SECRET = "hr_" + "b" * 43
READER_SECRET = "hr_" + "c" * 43
OPERATOR_SECRET = "hr_" + "d" * 43
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

_MANIFEST = """
name = "greet"
version = "{version}"
description = "Greets."
[[step]]
id = "greet"
"""
_INPUT_SCHEMA = """{
  "type": "object", "required": ["name"], "additionalProperties": false,
  "properties": {"name": {"type": "string", "maxLength": 300000}, "age": {"type": "integer"}, "more": {}}
}"""


def catalogue(*versions: str) -> RecipeCatalogue:
    return RecipeCatalogue(
        from_bundle(
            {
                "recipe.toml": _MANIFEST.format(version=version),
                "input.schema.json": _INPUT_SCHEMA,
                "output.schema.json": '{"type": "object"}',
                "prompt.j2": "Greet {{ input.name }}.",
            }
        )
        for version in versions or ("1.0.0", "1.1.0")
    )


@dataclass
class MemoryJobs:
    """A JobStore; every submit waits for ``gate``, refuses ``poison`` and raises ``trouble``."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    poison: bytes | None = None
    trouble: Exception | None = None
    flushes: list[int] = field(default_factory=list)
    kept: dict[UUID, NewJob] = field(default_factory=dict)
    states: dict[UUID, str] = field(default_factory=dict)
    claims: dict[tuple[str, str], tuple[bytes, UUID]] = field(default_factory=dict)
    batches: dict[UUID, tuple[str, int]] = field(default_factory=dict)
    at_once: int = 0
    most_at_once: int = 0
    looks: int = 0
    rest_before: UUID | None = None

    def __post_init__(self) -> None:
        self.gate.set()

    async def submit(self, submissions: Sequence[Submission]) -> Sequence[SubmitResult]:
        self.flushes.append(len(submissions))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        if self.trouble is not None:
            raise self.trouble
        if any(job.input == self.poison for s in submissions for job in s.jobs):
            raise ValueError("the data of some submission")
        return [self._accept(submission) for submission in submissions]

    def _accept(self, submission: Submission) -> SubmitResult:
        target = submission.batch_id or submission.jobs[0].job_id
        claim = submission.claim
        if claim is not None:
            body_hash, standing = self.claims.setdefault((claim.tenant_id, claim.key), (claim.body_hash, target))
            if standing != target:
                kind = SubmitKind.REPEATED if body_hash == claim.body_hash else SubmitKind.CONFLICT
                return SubmitResult(kind, standing)
        for job in submission.jobs:
            self.kept[job.job_id] = job
            self.states[job.job_id] = "queued"
        if submission.batch_id is not None:
            self.batches[submission.batch_id] = (submission.jobs[0].tenant_id, len(submission.jobs))
        return SubmitResult(SubmitKind.CREATED, target)

    async def claimed(self, claim: IdempotencyClaim) -> SubmitResult | None:
        if self.trouble is not None:
            raise self.trouble
        standing = self.claims.get((claim.tenant_id, claim.key))
        if standing is None:
            return None
        kind = SubmitKind.REPEATED if standing[0] == claim.body_hash else SubmitKind.CONFLICT
        return SubmitResult(kind, standing[1])

    def end(self, job_id: UUID, state: str = "succeeded") -> None:
        self.states[job_id] = state

    async def job(self, tenant_id: str, job_id: UUID) -> JobView | None:
        self.looks += 1
        if self.trouble is not None:
            raise self.trouble
        kept = self.kept.get(job_id)
        return self._view(kept) if kept is not None and kept.tenant_id == tenant_id else None

    async def jobs(
        self, tenant_id: str, *, state: str | None, recipe: str | None, before: UUID | None, limit: int
    ) -> tuple[Sequence[JobView], UUID | None]:
        views = [self._view(job) for job in self.kept.values() if job.tenant_id == tenant_id]
        found = [
            view
            for view in sorted(views, key=lambda v: v.job_id, reverse=True)
            if (state is None or view.state == state)
            and (recipe is None or recipe in (view.recipe, view.recipe.partition("@")[0]))
            and (before is None or view.job_id < before)
        ]
        if len(found) > limit:
            return found[:limit], found[limit - 1].job_id
        return found, self.rest_before

    async def batch(self, tenant_id: str, batch_id: UUID) -> BatchView | None:
        owner, total = self.batches.get(batch_id, ("", 0))
        return BatchView(batch_id, owner, total, {"open": total}, NOW, 0) if owner == tenant_id else None

    async def attempts(self, tenant_id: str, job_id: UUID) -> Sequence[AttemptView] | None:
        return None if await self.job(tenant_id, job_id) is None else [ATTEMPT]

    async def cancel(self, tenant_id: str, job_id: UUID) -> JobView | None:
        seen = await self.job(tenant_id, job_id)
        if seen is None or seen.state != "queued":
            return seen
        self.states[job_id] = "cancelled"
        return await self.job(tenant_id, job_id)

    def _view(self, job: NewJob) -> JobView:
        state = self.states[job.job_id]
        ended = state not in {"queued", "running", "held"}
        view = JobView(
            job_id=job.job_id,
            tenant_id=job.tenant_id,
            state=state,
            recipe=job.recipe,
            lane=job.lane,
            revision=2 if ended else 1,
            created_at=NOW,
            finished_at=NOW if ended else None,
            batch_id=job.batch_id,
            tags=job.tags,
            deadline=job.deadline,
            budget_nanos=job.budget_nanos,
            attempts=0,
            cost_nanos=148_000,
            input_tokens=0,
            output_tokens=0,
            hold_reason=None,
            failure_code=None,
            failure_detail=None,
            output=None,
            lineage=None,
        )
        return replace(view, output=b'{"greeting": "Hi \xc3\xa9"}') if state == "succeeded" else view


ATTEMPT = AttemptView(
    step="greet",
    item=0,
    attempt=1,
    state="answered",
    deployment="default",
    model="m",
    model_served="m-1",
    prompt_hash="p",
    reserved_nanos=2_000_000,
    cost_nanos=1,
    price_version="v",
    input_tokens=10,
    cached_tokens=0,
    output_tokens=5,
    latency_ms=12,
    finish_reason="stop",
    error_code=None,
    request_id=None,
    verdict="re-ask",
    violations=[{"pointer": "/a", "keyword": "type", "message": "must be a string"}],
    extraction={
        "strict": False,
        "confidence": "lossless-repair",
        "repairs": [{"kind": "fence-removed", "start": 0, "end": 8}],
        "candidates": 1,
        "reason": "fenced-block: none of 1 candidates would do",
    },
    started_at=NOW,
    ended_at=NOW,
)


@dataclass
class MemoryKeys:
    """A KeyStore that counts look-ups and may be away."""

    away: bool = False
    lookups: int = 0
    principals: Mapping[str, Principal] = field(
        default_factory=lambda: {
            SECRET: Principal("acme", "k1", frozenset({"jobs", "recipes"})),
            OTHER_SECRET: Principal("other", "k2", frozenset({"jobs"})),
            READER_SECRET: Principal("acme", "k3", frozenset({"recipes"})),
            OPERATOR_SECRET: Principal("acme", "k4", frozenset({"jobs", "operator"})),
        }
    )

    async def principal(self, key_hash: bytes) -> Principal | None:
        self.lookups += 1
        await asyncio.sleep(0)
        if self.away:
            raise DatabaseUnavailable("Postgres is not answering")
        by_hash = {hashlib.sha256(secret.encode()).digest(): p for secret, p in self.principals.items()}
        return by_hash.get(key_hash)


@dataclass
class MemorySearch:
    """A Search that finds one thing, or is away."""

    trouble: Exception | None = None
    asked: list[tuple[str, str, str | None, int]] = field(default_factory=list)

    async def search(
        self, tenant_id: str, query: str, *, recipe: str | None, limit: int
    ) -> tuple[int, Sequence[SearchHit]]:
        self.asked.append((tenant_id, query, recipe, limit))
        if self.trouble is not None:
            raise self.trouble
        hit = SearchHit(UUID(int=7), "greet@1.0.0", 1.5, {"greeting": "Hi"}, ("<em>Hi</em>",), NOW.isoformat())
        return 1, [hit]
