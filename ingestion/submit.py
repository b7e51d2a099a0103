"""POST /api/v1/jobs and /api/v1/batches: plain ASGI, for they are the hottest requests of the system.

Order: who calls, what kind of body, its size, its content, then one commit shared with the neighbours. A 202 means
committed in Postgres (P1); the same Idempotency-Key and body mean the same job (P7).
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final, TypeVar
from uuid import UUID

import orjson

from common.errors import DatabaseUnavailable, RequestError
from common.health import Receive, Scope
from common.ids import derive, uuid7
from common.ports import IdempotencyClaim, JobStore, NewJob, Principal, Submission, SubmitKind, SubmitResult
from common.recipes import RecipeCatalogue
from ingestion.admission import ENVELOPE_BYTES, AdmittedJob, admit, input_too_large
from ingestion.answers import Answer
from ingestion.batches import BatchForm, admit_batch
from ingestion.body import Memory, read_body
from ingestion.group_commit import GroupCommit
from ingestion.keys import KeyRing
from ingestion.problems import parameter_fault, refuse

Found = TypeVar("Found")

JOBS: Final = "/api/v1/jobs"
BATCHES: Final = "/api/v1/batches"
SUBMIT_SCOPES: Final = ("jobs",)

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_KEY: Final = re.compile(rb"[\x20-\x7e]{1,255}")
_REPLAYED: Final = (b"idempotency-replayed", b"true")
_NDJSON: Final = frozenset({"application/x-ndjson", "application/jsonl", "application/x-jsonlines"})
_MEMORY_OF_REQUESTS: Final = 4
# Above it a job is admitted in a thread: parsing and checking it takes longer than others should wait.
_ASIDE_BYTES: Final = 1024 * 1024
_THREADS: Final = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """How large requests may be."""

    input_bytes: int
    request_bytes: int
    batch_jobs: int


@dataclass(slots=True)
class _Headers:
    authorization: bytes | None = None
    content_type: bytes | None = None
    content_encoding: bytes | None = None
    idempotency_key: bytes | None = None
    traceparent: bytes | None = None


class SubmitRoutes:
    """The two routes. An answer of None means that the caller has gone."""

    def __init__(
        self,
        *,
        keys: KeyRing,
        catalogue: RecipeCatalogue,
        commit: GroupCommit,
        jobs: JobStore,
        limits: Limits,
        now: Callable[[], datetime],
    ) -> None:
        self._keys = keys
        self._catalogue = catalogue
        self._commit = commit
        self._jobs = jobs
        self._limits = limits
        self._now = now
        self._job_bytes = min(limits.request_bytes, limits.input_bytes + ENVELOPE_BYTES)
        # While it is read, a job costs several times its size.
        self._aside = asyncio.Semaphore(_THREADS)
        self._memory = Memory(_MEMORY_OF_REQUESTS * limits.request_bytes)

    async def post_job(self, scope: Scope, receive: Receive) -> Answer | None:
        """Accept one job."""
        headers = _read_headers(scope)
        principal = await self._keys.principal(headers.authorization, SUBMIT_SCOPES)
        if headers.content_type != b"application/json" or headers.content_encoding is not None:
            _media_type(headers, {"application/json"})
        key = _idempotency_key(headers)
        with self._memory.share() as share:
            body = await read_body(scope, receive, limit=self._job_bytes, too_large=self._input_too_large, share=share)
            if body is None:
                return None
            claim = _claim(principal, key, b"job", body, job_id := uuid7())
            try:
                admitted = await self._admitted(body, repeatable=key is not None)
            except RequestError as refusal:
                return await self._repeated_job(principal, await self._accepted_before(claim, refusal))
            job = _new_job(job_id, principal, admitted, _traceparent(headers))
            del body, admitted  # the input is a copy, and may be 16 MiB
            result = await self._commit.submit(Submission((job,), claim))
        if result.kind is SubmitKind.CREATED:
            return _job_answer(job.job_id, "queued", job.recipe)
        return await self._repeated_job(principal, result)

    async def post_batch(self, scope: Scope, receive: Receive) -> Answer | None:
        """Accept a batch, all or nothing."""
        headers = _read_headers(scope)
        principal = await self._keys.principal(headers.authorization, SUBMIT_SCOPES)
        media_type = _media_type(headers, {"application/json", *_NDJSON})
        form = BatchForm.LINES if media_type in _NDJSON else BatchForm.ARRAY
        key = _idempotency_key(headers)
        limit = self._limits.request_bytes
        with self._memory.share() as share:
            body = await read_body(scope, receive, limit=limit, too_large=self._request_too_large, share=share)
            if body is None:
                return None
            batch_id = uuid7()
            admit_one = partial(self._admitted, repeatable=key is not None)
            claim = _claim(principal, key, b"batch", body, batch_id)
            try:
                admitted = await admit_batch(body, form, admit_one, most_jobs=self._limits.batch_jobs)
            except RequestError as refusal:
                return await self._repeated_batch(principal, await self._accepted_before(claim, refusal))
            del body  # the inputs are copies; it may be 64 MiB
            traceparent = _traceparent(headers)
            jobs = tuple(
                _new_job(_job_of_batch(batch_id, index), principal, one, traceparent, batch_id)
                for index, one in enumerate(admitted)
            )
            result = await self._commit.submit(Submission(jobs, claim, batch_id))
        _refuse_conflict(result)
        replayed = result.kind is SubmitKind.REPEATED
        return _batch_answer(result.target_id, len(jobs), replayed=replayed)

    def _input_too_large(self) -> RequestError:
        return input_too_large(self._limits.input_bytes)

    def _request_too_large(self) -> RequestError:
        return refuse("request_too_large", f"A request may have {self._limits.request_bytes} bytes.")

    async def _admitted(self, body: bytes, *, repeatable: bool) -> AdmittedJob:
        if len(body) <= _ASIDE_BYTES:
            return self._admit(body, repeatable)
        async with self._aside:
            return await asyncio.to_thread(self._admit, body, repeatable)

    def _admit(self, body: bytes, repeatable: bool) -> AdmittedJob:
        limit = self._limits.input_bytes
        return admit(body, self._catalogue, now=self._now(), input_limit=limit, repeatable=repeatable)

    async def _accepted_before(self, claim: IdempotencyClaim | None, refusal: RequestError) -> SubmitResult:
        """Return what a refused body repeats: recipes and limits may have changed since. Else raises the refusal."""
        found = None if claim is None else await _kept(self._jobs.claimed(claim))
        if found is None or found.kind is not SubmitKind.REPEATED:
            raise refusal
        return found

    async def _repeated_batch(self, principal: Principal, result: SubmitResult) -> Answer:
        view = await _kept(self._jobs.batch(principal.tenant_id, result.target_id))
        if view is None:
            raise refuse("not_found", "The batch of this Idempotency-Key is no longer kept.")
        return _batch_answer(view.batch_id, view.total, replayed=True)

    async def _repeated_job(self, principal: Principal, result: SubmitResult) -> Answer:
        _refuse_conflict(result)
        view = await _kept(self._jobs.job(principal.tenant_id, result.target_id))
        if view is None:
            raise refuse("not_found", "The job of this Idempotency-Key is no longer kept.")
        return _job_answer(view.job_id, view.state, view.recipe, replayed=True)


async def _kept(look: Awaitable[Found]) -> Found:
    """Return what is kept of an earlier submission. Raises RequestError (503)."""
    try:
        return await look
    except DatabaseUnavailable as error:
        raise refuse("storage_unavailable", "It may have been accepted before; ask again with the same key.") from error


def _read_headers(scope: Scope) -> _Headers:
    found = _Headers()
    for name, value in scope["headers"]:
        if name == b"authorization":
            found.authorization = value
        elif name == b"content-type":
            found.content_type = value
        elif name == b"content-encoding":
            found.content_encoding = value
        elif name == b"idempotency-key":
            found.idempotency_key = value
        elif name == b"traceparent":
            found.traceparent = value
    return found


def _media_type(headers: _Headers, allowed: set[str]) -> str:
    value = (headers.content_type or b"").decode("latin-1")
    media_type, _, parameters = value.partition(";")
    name = media_type.strip().lower()
    charset = re.search(r"charset\s*=\s*\"?([^\s\";]+)", parameters, re.IGNORECASE)
    if name not in allowed or (charset and charset[1].lower() not in {"utf-8", "utf8", "us-ascii"}):
        wanted = " or ".join(sorted(allowed - (_NDJSON - {"application/x-ndjson"})))
        raise refuse("unsupported_media_type", f"Send UTF-8 with the content type {wanted}.")
    if headers.content_encoding not in {None, b"identity"}:
        detail = "Compressed bodies are not taken. Send it without Content-Encoding."
        raise refuse("unsupported_media_type", detail, headers={"accept-encoding": "identity"})
    return name


def _idempotency_key(headers: _Headers) -> str | None:
    value = headers.idempotency_key
    if value is None:
        return None
    if not _KEY.fullmatch(value):
        fault = parameter_fault("Idempotency-Key", "must be 1 to 255 printable ASCII characters")
        raise refuse("invalid_parameter", "The Idempotency-Key cannot be used.", faults=[fault])
    return value.decode()


def _traceparent(headers: _Headers) -> str | None:
    value = (headers.traceparent or b"").decode("latin-1")
    return value if _TRACEPARENT.fullmatch(value) else None


def _claim(principal: Principal, key: str | None, kind: bytes, body: bytes, target: UUID) -> IdempotencyClaim | None:
    if key is None:
        return None
    # The kind is hashed too: a key used for a job does not fit a batch of the same bytes.
    return IdempotencyClaim(principal.tenant_id, key, hashlib.sha256(kind + b"\n" + body).digest(), target)


def _new_job(
    job_id: UUID, principal: Principal, admitted: AdmittedJob, traceparent: str | None, batch_id: UUID | None = None
) -> NewJob:
    recipe = admitted.recipe
    return NewJob(
        job_id=job_id,
        tenant_id=principal.tenant_id,
        recipe=recipe.reference,
        recipe_hash=recipe.content_hash,
        step=recipe.steps[0].id,
        lane=admitted.lane,
        input=admitted.input,
        deadline=admitted.deadline,
        budget_nanos=admitted.budget_nanos,
        tags=admitted.tags,
        batch_id=batch_id,
        traceparent=traceparent,
    )


def _job_of_batch(batch_id: UUID, index: int) -> UUID:
    """Return the id of a batch's job: derived, so that a repeated batch can tell its ids without a look."""
    return derive(batch_id, f"job:{index}")


def _refuse_conflict(result: SubmitResult) -> None:
    if result.kind is SubmitKind.CONFLICT:
        raise refuse(
            "idempotency_key_reuse",
            "This Idempotency-Key was used for a different body. Use a new key for a new request.",
        )


def _job_answer(job_id: UUID, state: str, recipe: str, *, replayed: bool = False) -> Answer:
    here = f"{JOBS}/{job_id}"
    body = orjson.dumps(
        {
            "id": str(job_id),
            "state": state,
            "recipe": recipe,
            "links": job_links(here),
        }
    )
    location = (b"location", here.encode())
    return Answer(202, body, (location, _REPLAYED) if replayed else (location,))


def job_links(here: str) -> dict[str, str]:
    """Return where to go from the job at this address."""
    return {"self": here, "attempts": here + "/attempts", "cancel": here + "/cancel"}


def _batch_answer(batch_id: UUID, jobs: int, *, replayed: bool) -> Answer:
    here = f"{BATCHES}/{batch_id}"
    ids = [str(_job_of_batch(batch_id, index)) for index in range(jobs)]
    body = orjson.dumps({"id": str(batch_id), "total": jobs, "jobs": ids, "links": {"self": here}})
    location = (b"location", here.encode())
    return Answer(202, body, (location, _REPLAYED) if replayed else (location,))
