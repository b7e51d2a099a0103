"""What is done to jobs: pause, resume and retry of one, and actions on batches and filters in the background."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Request, Response

from common.control_ports import Action, JobControl, JobFilter
from common.errors import Fault
from common.ports import JobView
from ingestion import control_views, views
from ingestion.control_examples import BEGIN_OPERATION
from ingestion.control_models import Operation, OperationRequest
from ingestion.models import TERMINAL, Job, JobAccepted
from ingestion.openapi import problems
from ingestion.problems import refuse
from ingestion.routes import Bound, Id, JobsKey, json_answer
from ingestion.services import Services
from ingestion.small_body import read_model, takes
from ingestion.submit import JOBS, job_links

router = APIRouter(prefix="/api/v1")


@router.post(
    "/jobs/{job_id}/pause",
    tags=["jobs"],
    summary="Pause a job",
    response_model=Job,
    responses=problems("not_found", "job_ended"),
)
async def pause_job(job_id: Id, services: Bound, principal: JobsKey) -> Response:
    """Put an open job on hold. No new attempt starts; what is in flight is recorded and charged, not published."""
    return _open(await _control(services).pause(principal.tenant_id, job_id))


@router.post(
    "/jobs/{job_id}/resume",
    tags=["jobs"],
    summary="Let a job go on",
    response_model=Job,
    responses=problems("not_found", "job_ended"),
)
async def resume_job(job_id: Id, services: Bound, principal: JobsKey) -> Response:
    """Let go what a pause, or a hold for the operator (a refused key, no route), has set aside.

    A job that waits for a budget still does; one with a dead letter waits for that.
    """
    return _open(await _control(services).resume(principal.tenant_id, job_id))


@router.post(
    "/jobs/{job_id}/retry",
    tags=["jobs"],
    summary="Run a job again that ended without success",
    status_code=202,
    response_model=JobAccepted,
    responses=problems("not_found", "not_retryable"),
)
async def retry_job(job_id: Id, services: Bound, principal: JobsKey) -> Response:
    """Make a new job with the same input for one that failed, expired or was cancelled.

    Asked again, it tells the same new job, until that has ended without success, too.
    """
    retried = await _control(services).retry(principal.tenant_id, job_id)
    if retried is None:
        raise _no_job()
    if retried.job is None:
        raise refuse("not_retryable", f"The job is {retried.state}: there is nothing to run again.")
    job = retried.job
    here = f"{JOBS}/{job.job_id}"
    body = {"id": str(job.job_id), "state": job.state, "recipe": job.recipe, "links": job_links(here)}
    return json_answer(body, 202, location=here)


@router.post(
    "/batches/{batch_id}/{action}",
    tags=["batches"],
    summary="Cancel, pause, resume or retry the jobs of a batch",
    status_code=202,
    response_model=Operation,
    responses=problems("not_found"),
)
async def act_on_batch(
    batch_id: Annotated[UUID, Path(description="UUID")], action: Action, services: Bound, principal: JobsKey
) -> Response:
    """Begin an operation on the jobs that the batch has now. Each is done as for one job."""
    if await services.jobs.batch(principal.tenant_id, batch_id) is None:
        raise refuse("not_found", "You have no batch with this id.")
    return await _begin(services, principal.tenant_id, action, JobFilter(batch_id=batch_id))


@router.post(
    "/operations",
    tags=["jobs"],
    summary="Cancel, pause, resume or retry many jobs",
    status_code=202,
    response_model=Operation,
    responses=problems("malformed_json", "request_timeout", "request_too_large", "invalid_request_body"),
    openapi_extra=takes(OperationRequest, BEGIN_OPERATION),
)
async def begin_operation(request: Request, services: Bound, principal: JobsKey) -> Response:
    """Begin an action on all jobs there are now that the filter means. Repeating it is safe."""
    body = await read_model(request, OperationRequest)
    given = body.filter
    conditions = given.model_dump(exclude_none=True)
    if not conditions:
        fault = Fault("/filter", "needs at least one condition; created_before can mean everything")
        raise refuse("invalid_request_body", "An operation on every job is refused.", faults=[fault])
    if given.lane is not None:
        conditions["lane"] = given.lane.value
    return await _begin(services, principal.tenant_id, body.action, JobFilter(**conditions))


@router.get(
    "/operations/{operation_id}",
    tags=["jobs"],
    summary="Show how far an operation is",
    response_model=Operation,
    responses=problems("not_found"),
)
async def show_operation(
    operation_id: Annotated[UUID, Path(description="UUID")], services: Bound, principal: JobsKey
) -> Response:
    """Return its progress. It is kept for 30 days after its end."""
    view = await _control(services).operation(principal.tenant_id, operation_id)
    if view is None:
        raise refuse("not_found", "You have no operation with this id.")
    return json_answer(control_views.operation(view))


async def _begin(services: Services, tenant_id: str, action: Action, wanted: JobFilter) -> Response:
    view = await _control(services).begin(tenant_id, action, wanted)
    return json_answer(control_views.operation(view), 202, location=f"{control_views.OPERATIONS}/{view.operation_id}")


def _open(job: JobView | None) -> Response:
    if job is None:
        raise _no_job()
    if job.state in TERMINAL:
        raise refuse("job_ended", f"The job has ended as {job.state}.")
    return json_answer(views.job_detail(job), etag=views.job_etag(job))


def _no_job() -> Exception:
    return refuse("not_found", "You have no job with this id.")


def _control(services: Services) -> JobControl:
    assert services.control is not None  # noqa: S101 - the composition root binds it; only doubles leave it out
    return services.control
