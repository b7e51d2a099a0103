"""Jobs, reservations and settlements as tests need them."""

from uuid import UUID

from common.contracts import Lane, StepRef
from common.control_ports import BudgetKey, BudgetScope, BudgetView, Window
from common.ids import uuid7
from common.ports import NewJob, Outcome, Reservation, Settlement, Submission
from persistence.postgres.budgets import PostgresBudgets
from persistence.postgres.job_control import PostgresJobControl
from persistence.postgres.jobs import PostgresJobStore
from persistence.postgres.ledger import PostgresLedger
from persistence.postgres.pool import Pool

USD = 1_000_000_000


def new_job(tenant: str = "default", *, budget_nanos: int | None = None, batch_id: UUID | None = None) -> NewJob:
    """Return a job that is not submitted yet."""
    return NewJob(
        job_id=uuid7(),
        tenant_id=tenant,
        recipe="card@1.0.0",
        recipe_hash="abc",
        step="main",
        lane=Lane.STANDARD,
        input=b'{"n": 1}',
        budget_nanos=budget_nanos,
        batch_id=batch_id,
    )


def store(pool: Pool) -> PostgresJobStore:
    """Return the job store of an installation called "test"."""
    return PostgresJobStore(pool, shards=1, source="test")


def control(pool: Pool) -> PostgresJobControl:
    """Return what steers the jobs of that installation."""
    return PostgresJobControl(pool, store(pool), shards=1, source="test")


async def make_ledger(pool: Pool, lease_s: float = 30.0) -> PostgresLedger:
    """Return the ledger of a new worker with a lease."""
    ledger = PostgresLedger(pool, worker=uuid7(), lease_s=lease_s, shards=1, source="test")
    await ledger.renew_lease()
    return ledger


async def put_budget(
    pool: Pool, limit_nanos: int, scope: str = "tenant", key: str = "", window: str = "total", tenant: str = "default"
) -> BudgetView:
    """Set a budget as an operator does."""
    named = BudgetKey(tenant, BudgetScope(scope), key, Window(window))
    view = await PostgresBudgets(pool).put(named, limit_nanos)
    assert view is not None
    return view


async def submitted(
    pool: Pool, count: int = 1, *, budget_nanos: int | None = None, batch_id: UUID | None = None
) -> list[NewJob]:
    """Submit jobs and return them."""
    jobs = [new_job(budget_nanos=budget_nanos, batch_id=batch_id) for _ in range(count)]
    await store(pool).submit([Submission((job,)) for job in jobs])
    return jobs


def reference(job: NewJob, attempt: int = 1) -> StepRef:
    """Return the reference of a job's step."""
    return StepRef(
        tenant_id=job.tenant_id,
        job_id=job.job_id,
        step=job.step,
        attempt=attempt,
        lane=job.lane,
        recipe=job.recipe,
        recipe_hash=job.recipe_hash,
        batch_id=job.batch_id,
        budgeted=job.budget_nanos is not None,
    )


def asking(job: NewJob, amount_nanos: int = USD, *, attempt: int = 1, max_attempts: int = 4) -> Reservation:
    """Return the reservation of one call."""
    return Reservation(
        ref=reference(job, attempt),
        max_attempts=max_attempts,
        deployment="d",
        model="m",
        price_version="v1",
        prompt_hash="h",
        amount_nanos=amount_nanos,
        body=b"{}",
    )


def answered(job: NewJob, cost_nanos: int, *, attempt: int = 1) -> Settlement:
    """Return the settlement of an answered call."""
    return Settlement(
        ref=reference(job, attempt),
        attempt=attempt,
        outcome=Outcome.ANSWERED,
        cost_nanos=cost_nanos,
        raw=b'{"answer": true}',
        model_served="m-served",
        finish_reason="stop",
        input_tokens=10,
        output_tokens=5,
        latency_ms=7,
    )
