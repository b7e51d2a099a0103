"""The read side and cancel: FastAPI routes over the stores. Each answers only about the caller's own tenant."""

import base64
import binascii
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.security import HTTPBearer

from common.errors import SearchUnavailable
from common.ports import Principal
from ingestion import views
from ingestion.models import (
    AttemptList,
    Batch,
    Job,
    JobPage,
    JobState,
    RecipeList,
    RecipeVersions,
    SearchResult,
)
from ingestion.openapi import problems
from ingestion.problems import parameter_fault, refuse
from ingestion.recipeviews import recipe_list, recipe_versions
from ingestion.services import Opening, Services

_bearer = HTTPBearer(auto_error=False, scheme_name="key", description="An API key: `hr_...`")


def _services(request: Request) -> Services:
    opening: Opening = request.app.state.opening
    return opening.services


def _principal(*scopes: str) -> Any:
    async def depend(
        request: Request, services: Annotated[Services, Depends(_services)], _: Annotated[Any, Depends(_bearer)]
    ) -> Principal:
        value = request.headers.get("authorization")
        return await services.keys.principal(value.encode("latin-1") if value else None, scopes)

    return Depends(depend)


Bound = Annotated[Services, Depends(_services)]
JobsKey = Annotated[Principal, _principal("jobs")]
OperatorKey = Annotated[Principal, _principal("operator")]
UsageKey = Annotated[Principal, _principal("jobs", "operator")]
RecipesKey = Annotated[Principal, _principal("jobs", "recipes")]
Id = Annotated[UUID, Path(description="UUID")]

router = APIRouter(prefix="/api/v1")


def json_answer(body: Any, status: int = 200, **headers: str) -> Response:
    """Return an answer that no cache may keep."""
    return Response(
        orjson.dumps(body),
        status,
        {"cache-control": "no-store", **{k.replace("_", "-"): v for k, v in headers.items()}},
        "application/json",
    )


@router.get(
    "/jobs/{job_id}",
    tags=["jobs"],
    summary="Show a job, or wait for its end",
    response_model=Job,
    responses={
        304: {"description": "The caller has this representation"},
        **problems("not_found"),
    },
)
async def show_job(
    job_id: Id,
    request: Request,
    services: Bound,
    principal: JobsKey,
    wait: Annotated[float, Query(ge=0, le=60, description="seconds to wait for the job's end")] = 0,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return a job. With `wait`, as soon as it has ended, or as it is by then."""
    job = await services.polls.job(principal.tenant_id, job_id, wait, request.is_disconnected)
    if job is None:
        raise _no_job()
    etag = views.job_etag(job)
    if if_none_match is not None and views.matches(if_none_match, etag):
        return Response(status_code=304, headers={"etag": etag, "cache-control": "no-cache"})
    response = json_answer(views.job_detail(job), etag=etag)
    response.headers["cache-control"] = "no-cache"
    return response


@router.get(
    "/jobs",
    tags=["jobs"],
    summary="List jobs, newest first",
    response_model=JobPage,
    responses=problems(),
)
async def list_jobs(
    request: Request,
    services: Bound,
    principal: JobsKey,
    state: JobState | None = None,
    recipe: Annotated[str | None, Query(min_length=1, max_length=200, description="name or name@version")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """Return one page of jobs without their outputs.

    With `state` or `recipe` a request looks at 20,000 jobs at most. So a page may hold fewer jobs than `limit`, even
    none, although there are more: go on while there is a `next_cursor`.
    """
    before = None if cursor is None else _from_cursor(cursor)
    found, rest = await services.jobs.jobs(principal.tenant_id, state=state, recipe=recipe, before=before, limit=limit)
    following = None if rest is None else _to_cursor(rest)
    body = {"jobs": [views.job_summary(job) for job in found], "next_cursor": following}
    if following is None:
        return json_answer(body)
    url = request.url.include_query_params(cursor=following)
    return json_answer(body, link=f'<{url.path}?{url.query}>; rel="next"')


@router.get(
    "/jobs/{job_id}/attempts",
    tags=["jobs"],
    summary="List every call tried for a job",
    response_model=AttemptList,
    responses=problems("not_found"),
)
async def list_attempts(job_id: Id, services: Bound, principal: JobsKey) -> Response:
    """Return the job's rows of the ledger: every call tried, refusals that cost nothing included."""
    attempts = await services.jobs.attempts(principal.tenant_id, job_id)
    if attempts is None:
        raise _no_job()
    return json_answer({"attempts": [views.attempt(attempt) for attempt in attempts]})


@router.post(
    "/jobs/{job_id}/cancel",
    tags=["jobs"],
    summary="Cancel a job",
    response_model=Job,
    responses=problems("not_found", "job_ended"),
)
async def cancel_job(job_id: Id, services: Bound, principal: JobsKey) -> Response:
    """End an open job. No new attempt starts; what is in flight is recorded and charged, not published."""
    job = await services.jobs.cancel(principal.tenant_id, job_id)
    if job is None:
        raise _no_job()
    if job.state != "cancelled":
        raise refuse("job_ended", f"The job has ended as {job.state}; nothing is left to cancel.")
    if services.announcer is not None:
        await services.announcer.publish([job_id])
    return json_answer(views.job_detail(job), etag=views.job_etag(job))


@router.get(
    "/batches/{batch_id}",
    tags=["batches"],
    summary="Show how far a batch is",
    response_model=Batch,
    responses=problems("not_found"),
)
async def show_batch(batch_id: Id, services: Bound, principal: JobsKey) -> Response:
    """Return how many of its jobs are in which state."""
    batch = await services.jobs.batch(principal.tenant_id, batch_id)
    if batch is None:
        raise refuse("not_found", "You have no batch with this id.")
    return json_answer(views.batch(batch))


@router.get(
    "/recipes",
    tags=["recipes"],
    summary="List the recipes",
    response_model=RecipeList,
    responses=problems(),
)
async def list_recipes(services: Bound, principal: RecipesKey) -> Response:
    """Return every version of every recipe."""
    del principal
    return json_answer({"recipes": recipe_list(services.catalogue)})


@router.get(
    "/recipes/{name}",
    tags=["recipes"],
    summary="Show a recipe with its schemas",
    response_model=RecipeVersions,
    responses=problems("not_found"),
)
async def show_recipe(name: str, services: Bound, principal: RecipesKey) -> Response:
    """Return all versions of one recipe, newest first."""
    del principal
    versions = recipe_versions(services.catalogue, name)
    if not versions:
        raise refuse("not_found", "There is no recipe of this name. GET /api/v1/recipes lists them.")
    return json_answer({"name": name, "versions": versions})


@router.get(
    "/search",
    tags=["search"],
    summary="Search the outputs",
    response_model=SearchResult,
    responses=problems("search_unavailable"),
)
async def search(
    services: Bound,
    principal: JobsKey,
    q: Annotated[str, Query(min_length=1, max_length=500, description="words")],
    recipe: Annotated[str | None, Query(min_length=1, max_length=200, description="name or name@version")] = None,
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> Response:
    """Return the outputs whose texts match best."""
    if services.search is None:
        raise refuse("search_unavailable", "No search engine is configured.", headers={"retry-after": "3600"})
    try:
        total, hits = await services.search.search(principal.tenant_id, q, recipe=recipe, limit=limit)
    except SearchUnavailable as error:
        raise refuse("search_unavailable", "Search is not answering. Jobs and outputs are not affected.") from error
    return json_answer({"total": total, "hits": [views.hit(hit) for hit in hits]})


def _no_job() -> Exception:
    return refuse("not_found", "You have no job with this id.")


def _to_cursor(job_id: UUID) -> str:
    return base64.urlsafe_b64encode(job_id.bytes).decode().rstrip("=")


def _from_cursor(cursor: str) -> UUID:
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        fault = parameter_fault("cursor", "must be the next_cursor of a previous page")
        raise refuse("invalid_parameter", "The cursor cannot be used.", faults=[fault]) from None
