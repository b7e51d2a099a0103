"""What operators look after: dead letters and the error log, over all tenants; and one job's errors for its tenant."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParameter

from common.errors import RequestError
from common.operator_ports import DeadLetters, Errors, LetterFilter, LetterState, LetterView, NotReplayable
from ingestion.body import read_body
from ingestion.openapi import problems
from ingestion.operator_models import DeadLetter, DeadLetterDetail, DeadLetterPage, ErrorList
from ingestion.operator_views import error_log, letter_detail, letter_summary
from ingestion.problems import refuse
from ingestion.routes import Bound, Id, JobsKey, OperatorKey, json_answer
from ingestion.services import Services

MOST_LETTER_BYTES: Final = 8 * 1024 * 1024

LetterId = Annotated[int, PathParameter(ge=1, le=2**63 - 1, description="number of the letter")]

router = APIRouter(prefix="/api/v1", tags=["operations"])


@router.get(
    "/dead-letters", summary="List dead letters, newest first", response_model=DeadLetterPage, responses=problems()
)
async def list_dead_letters(
    services: Bound,
    principal: OperatorKey,
    state: Annotated[LetterState | None, Query(description="default: open")] = LetterState.OPEN,
    stage: Annotated[str | None, Query(min_length=1, max_length=50)] = None,
    job_id: UUID | None = None,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="next_before of the previous page")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Return messages that were set aside, without their contents. Each keeps its job on hold while it is open."""
    del principal
    found = await _letters(services).letters(LetterFilter(state, stage, job_id), before=before, limit=limit + 1)
    page = found[:limit]
    following = page[-1].letter_id if len(found) > limit else None
    return json_answer({"dead_letters": [letter_summary(letter) for letter in page], "next_before": following})


@router.get(
    "/dead-letters/{letter_id}",
    summary="Show a dead letter with its bytes and headers",
    response_model=DeadLetterDetail,
    responses=problems("not_found"),
)
async def show_dead_letter(letter_id: LetterId, services: Bound, principal: OperatorKey) -> Response:
    """Return one letter. Contents are text where they are UTF-8, else base64."""
    del principal
    return json_answer(letter_detail(_there(await _letters(services).letter(letter_id))))


@router.put(
    "/dead-letters/{letter_id}/value",
    summary="Set what a replay will send",
    response_model=DeadLetterDetail,
    responses=problems("not_found", "dead_letter_conflict", "request_timeout", "request_too_large"),
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {}}}}},
)
async def edit_dead_letter(letter_id: LetterId, request: Request, services: Bound, principal: OperatorKey) -> Response:
    """Replace the value, byte for byte; the original stays. It must be a message that its stage can read."""
    del principal
    value = await read_body(request.scope, request.receive, limit=MOST_LETTER_BYTES, too_large=_too_large) or b""
    try:
        return json_answer(letter_detail(_there(await _letters(services).edit(letter_id, value))))
    except NotReplayable as reason:
        raise _conflict(reason) from None


@router.post(
    "/dead-letters/{letter_id}/replay",
    summary="Send a dead letter again",
    response_model=DeadLetter,
    responses=problems("not_found", "dead_letter_conflict"),
)
async def replay_dead_letter(letter_id: LetterId, services: Bound, principal: OperatorKey) -> Response:
    """Queue the message, edited or not, under its own key, headers and id; its job is no longer on hold for it."""
    del principal
    try:
        return json_answer(letter_summary(_there(await _letters(services).replay(letter_id))))
    except NotReplayable as reason:
        raise _conflict(reason) from None


@router.post(
    "/dead-letters/{letter_id}/discard",
    summary="Give a dead letter up",
    response_model=DeadLetter,
    responses=problems("not_found", "dead_letter_conflict"),
)
async def discard_dead_letter(letter_id: LetterId, services: Bound, principal: OperatorKey) -> Response:
    """Drop the message. Its job goes on from the ledger, as any job whose message is lost; cancel it to end it."""
    del principal
    try:
        return json_answer(letter_summary(_there(await _letters(services).discard(letter_id))))
    except NotReplayable as reason:
        raise _conflict(reason) from None


@router.get(
    "/jobs/{job_id}/errors",
    summary="List what went wrong for a job",
    response_model=ErrorList,
    responses=problems("not_found"),
)
async def list_job_errors(job_id: Id, services: Bound, principal: JobsKey) -> Response:
    """Return failures by stage and kind, with their first and last time and count, newest first."""
    found = await _errors(services).of_job(principal.tenant_id, job_id)
    if found is None:
        raise refuse("not_found", "You have no job with this id.")
    return json_answer({"errors": error_log(found)})


@router.get("/errors", summary="List what went wrong in the stages", response_model=ErrorList, responses=problems())
async def list_errors(
    services: Bound,
    principal: OperatorKey,
    hours: Annotated[int, Query(ge=1, le=24 * 30, description="how far back to look")] = 24,
    stage: Annotated[str | None, Query(min_length=1, max_length=50)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Return failures of messages and of servers, newest first. Failed calls are with their jobs."""
    del principal
    since = datetime.now(UTC) - timedelta(hours=hours)
    return json_answer({"errors": error_log(await _errors(services).recent(since=since, stage=stage, limit=limit))})


def _too_large() -> RequestError:
    return refuse("request_too_large", f"A message has at most {MOST_LETTER_BYTES} bytes.")


def _letters(services: Services) -> DeadLetters:
    assert services.letters is not None  # noqa: S101 - the composition root binds it; only doubles leave it out
    return services.letters


def _errors(services: Services) -> Errors:
    assert services.errors is not None  # noqa: S101 - as above
    return services.errors


def _there(letter: LetterView | None) -> LetterView:
    if letter is None:
        raise refuse("not_found", "There is no dead letter with this number.")
    return letter


def _conflict(reason: NotReplayable) -> RequestError:
    return refuse("dead_letter_conflict", str(reason))
