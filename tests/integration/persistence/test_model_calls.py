"""The model stage over the ledger on real Postgres: what a worker that slept, or a bug, may not buy twice (P3)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from common.contracts import Completion, Lane, Prompt, PromptPart, decode
from common.errors import DatabaseUnavailable, ProviderError, ProviderErrorKind
from common.kafka.consumer import Delivery
from common.outcomes import Done, Forward, Retry
from common.pipeline import Topic
from common.ports import NOT_CALLED, Ledger, NewJob, Reservation, ReserveDecision, ReserveKind, Settlement
from common.recipes import load_catalogue, shipped_recipes
from common.recipes.shelf import RecipeShelf
from model_layer.deployments import load_deployments
from model_layer.lease import Lease
from model_layer.provider import FinishReason, ModelAnswer, ModelRequest
from model_layer.settling import BROKEN
from model_layer.stage import ModelStage
from persistence.postgres.pool import Pool
from tests.integration.persistence.examples import USD, answered, asking, make_ledger, put_budget, store, submitted

pytestmark = pytest.mark.stack

LEASE_S = 30.0
MODELS = """
[[deployment]]
model = "one"
base_url = "http://127.0.0.1:1/v1"
price = { input_usd_per_mtok = 1, output_usd_per_mtok = 1 }
"""


class Answering:
    """A provider that answers, or breaks off by a bug after it has sent."""

    def __init__(self, bug: Exception | None = None) -> None:
        self.calls = 0
        self.waits: asyncio.Event | None = None
        self._bug = bug

    async def call(self, request: ModelRequest) -> ModelAnswer:
        self.calls += 1
        if self._bug is not None:
            raise self._bug
        if self.waits is not None:
            await self.waits.wait()
        return self.decode_stored(b"{}")

    def decode_stored(self, raw: bytes) -> ModelAnswer:
        return ModelAnswer("{}", FinishReason.STOP, "one", None, "r-1", raw, 1.0)

    async def close(self) -> None:
        return None


class Sleeper:
    """A worker's ledger. The worker is stopped when its first reservation is committed, and ``meanwhile`` happens."""

    def __init__(self, real: Ledger, meanwhile: Callable[[], Awaitable[None]]) -> None:
        self.seconds = 0.0
        self.settling, self.may_settle = asyncio.Event(), asyncio.Event()
        self.may_settle.set()
        self._real = real
        self._meanwhile = meanwhile

    async def reserve(self, items: Sequence[Reservation]) -> Sequence[ReserveDecision]:
        decisions = await self._real.reserve(items)
        if not self.seconds:
            self.seconds = LEASE_S + 60
            await self._meanwhile()
        return decisions

    async def settle(self, items: Sequence[Settlement]) -> None:
        self.settling.set()
        await self.may_settle.wait()
        await self._real.settle(items)

    async def renew_lease(self) -> None:
        await self._real.renew_lease()


class NoBundles:
    async def bundle(self, content_hash: str) -> Mapping[str, str] | None:
        return None


def made_stage(folder: Path, ledger: Ledger, provider: Answering, clock: Callable[[], float]) -> ModelStage:
    (folder / "models.toml").write_text(MODELS)
    catalogue = load_deployments(folder / "models.toml", {})
    return ModelStage(
        shelf=RecipeShelf(load_catalogue([shipped_recipes()]), NoBundles()),
        catalogue=catalogue,
        providers={deployment.alias: provider for deployment in catalogue.deployments},
        ledger=ledger,
        lease=Lease(ledger, LEASE_S, clock),
    )


def delivery(job: NewJob, attempt: int = 1) -> Delivery:
    recipe = load_catalogue([shipped_recipes()]).list()[0]
    prompt = Prompt(
        tenant_id=job.tenant_id,
        job_id=job.job_id,
        step=recipe.manifest.step[0].id,
        attempt=attempt,
        lane=Lane.STANDARD,
        recipe=f"{recipe.name}@{recipe.version}",
        recipe_hash=recipe.content_hash,
        messages=(PromptPart(role="user", content="hello"),),
        prompt_hash="h",
        input_tokens_bound=5,
    )
    return Delivery(Topic.PROMPTS_STANDARD, "prompts", 0, 1, b"key", prompt.model_dump_json().encode(), ())


def asked_elsewhere(job: NewJob) -> Reservation:
    step = load_catalogue([shipped_recipes()]).list()[0].manifest.step[0].id
    asking_main = asking(job)
    return replace(asking_main, ref=asking_main.ref.model_copy(update={"step": step}))


async def seemingly_dead(pool: Pool, job: NewJob) -> tuple[Reservation, Callable[[], Awaitable[None]]]:
    """Reserve the first call for a worker whose lease has ended; return that, and what lets it answer after all."""
    first = replace(asked_elsewhere(job), deployment="one")
    slow = await make_ledger(pool, lease_s=0.0)
    await slow.reserve([first])

    async def answered_late() -> None:
        await slow.settle([replace(answered(job, USD), ref=first.ref)])

    return first, answered_late


async def test_p3_a_worker_that_slept_before_its_call_leaves_it_to_the_one_that_took_over(
    pool: Pool, tmp_path: Path
) -> None:
    # Given a worker that is stopped between its reservation and its call, past its lease
    (job,) = await submitted(pool)
    other = await make_ledger(pool)
    took: list[ReserveDecision] = []

    async def taken_over() -> None:
        await pool.execute("update workers set lease_until = now() - interval '1 second' where lease_until < $1", until)
        took.extend(await other.reserve([asked_elsewhere(job)]))

    until = await pool.fetchval("select now() + interval '29 seconds'")
    slept = Sleeper(await make_ledger(pool, lease_s=20.0), taken_over)
    provider = Answering()
    stage = made_stage(tmp_path, slept, provider, lambda: slept.seconds)
    # When it wakes up, another worker has its call under way
    outcome = await stage.handle_one(delivery(job))
    # Then it buys nothing, and looks again later
    assert [(d.kind, d.attempt, d.rebought) for d in took] == [(ReserveKind.GRANTED, 2, True)]
    assert provider.calls == 0
    assert isinstance(outcome, Retry)


async def test_p3_a_worker_that_slept_before_its_call_makes_it_if_nobody_took_over(pool: Pool, tmp_path: Path) -> None:
    (job,) = await submitted(pool)

    async def nothing() -> None:
        return None

    slept = Sleeper(await make_ledger(pool), nothing)
    provider = Answering()
    outcome = await made_stage(tmp_path, slept, provider, lambda: slept.seconds).handle_one(delivery(job))

    assert provider.calls == 1
    assert isinstance(outcome, Forward)
    assert await pool.fetchval("select array_agg(state) from attempts") == [1]


async def test_p4_a_reservation_of_a_job_that_was_cancelled_before_its_call_is_given_back(
    pool: Pool, tmp_path: Path
) -> None:
    # Given a worker that is stopped between its reservation and its call, past its lease
    budget = await put_budget(pool, 100 * USD)
    (job,) = await submitted(pool)

    async def cancelled() -> None:
        await store(pool).cancel(job.tenant_id, job.job_id)

    slept = Sleeper(await make_ledger(pool), cancelled)
    provider = Answering()
    # When it wakes up and the job is cancelled
    outcome = await made_stage(tmp_path, slept, provider, lambda: slept.seconds).handle_one(delivery(job))
    # Then no call is made, and no money stays reserved for one
    assert isinstance(outcome, Done)
    assert provider.calls == 0
    await expect_given_back(pool, budget.budget_id)


async def test_p4_a_reservation_whose_answer_was_lost_is_given_back_if_the_job_has_ended(
    pool: Pool, tmp_path: Path
) -> None:
    # Given a reservation that was committed before its line broke, and a job that was cancelled meanwhile
    budget = await put_budget(pool, 100 * USD)
    (job,) = await submitted(pool)

    async def line_breaks() -> None:
        await store(pool).cancel(job.tenant_id, job.job_id)
        raise DatabaseUnavailable("the line broke")

    provider = Answering()
    stage = made_stage(tmp_path, Sleeper(await make_ledger(pool), line_breaks), provider, lambda: 0.0)
    with pytest.raises(DatabaseUnavailable):
        await stage.handle_one(delivery(job))
    assert await pool.fetchval("select array_agg(state) from attempts") == [0]
    # When its message is handed in again
    outcome = await stage.handle_one(delivery(job))
    # Then it is given back
    assert isinstance(outcome, Done)
    assert provider.calls == 0
    await expect_given_back(pool, budget.budget_id)


async def test_p4_a_reservation_that_a_late_answer_overtook_is_given_back(pool: Pool, tmp_path: Path) -> None:
    # Given a call of a worker that seems dead, reserved anew by one that is stopped before it calls
    budget = await put_budget(pool, 100 * USD)
    (job,) = await submitted(pool)
    first, answered_late = await seemingly_dead(pool, job)
    ledger = await make_ledger(pool)
    slept, provider = Sleeper(ledger, answered_late), Answering()
    # When it wakes up and the first one has answered
    outcome = await made_stage(tmp_path, slept, provider, lambda: slept.seconds).handle_one(delivery(job))
    # Then that answer is taken, no call is made, and no money stays reserved for one
    assert isinstance(outcome, Forward)
    assert provider.calls == 0
    rows = await pool.fetch("select state, error_code from attempts order by attempt")
    assert [tuple(row) for row in rows] == [(1, None), (2, NOT_CALLED)]
    (money,) = await pool.fetch("select reserved_nanos, settled_nanos from budgets where id = $1", budget.budget_id)
    assert tuple(money) == (0, USD)
    # And if that answer will not do, the next call goes behind what was never one
    [again] = await ledger.reserve([replace(first, ref=first.ref.model_copy(update={"attempt": 2}))])
    assert (again.kind, again.attempt) == (ReserveKind.GRANTED, 3)


async def test_p3_a_reservation_is_not_called_while_it_is_given_back(pool: Pool, tmp_path: Path) -> None:
    # Given a reservation that a late answer overtook, and that is being given back, slowly
    (job,) = await submitted(pool)
    _, answered_late = await seemingly_dead(pool, job)
    slept, provider = Sleeper(await make_ledger(pool), answered_late), Answering()
    stage = made_stage(tmp_path, slept, provider, lambda: slept.seconds)
    slept.may_settle.clear()
    giving_back = asyncio.create_task(stage.handle_one(delivery(job)))
    await slept.settling.wait()
    # When the message that asks for that very attempt comes meanwhile
    outcome = await stage.handle_one(delivery(job, attempt=2))
    slept.may_settle.set()
    # Then it makes no call that nobody would book, and comes again later, for the next attempt
    assert isinstance(await giving_back, Forward)
    assert isinstance(outcome, Retry)
    assert provider.calls == 0
    again = await stage.handle_one(delivery(job, attempt=2))
    assert isinstance(again, Forward)
    completion = decode(Completion, again.records[0].value)
    assert (completion.attempt, completion.paid(completion.attempt)) == (3, 2)
    assert await pool.fetchval("select array_agg(state order by attempt) from attempts") == [1, 2, 1]


async def expect_given_back(pool: Pool, budget_id: int) -> None:
    (row,) = await pool.fetch("select state, error_code, cost_nanos from attempts")
    assert tuple(row) == (2, NOT_CALLED, 0)
    (money,) = await pool.fetch("select reserved_nanos, settled_nanos from budgets where id = $1", budget_id)
    assert tuple(money) == (0, 0)


async def test_p4_a_call_under_way_is_not_given_back_when_its_message_comes_again_after_a_cancel(
    pool: Pool, tmp_path: Path
) -> None:
    # Given a call under way as second attempt, for the worker of the first died, and a job that is cancelled
    (job,) = await submitted(pool)
    dead = await make_ledger(pool)
    await dead.reserve([asked_elsewhere(job)])
    await pool.execute("update workers set lease_until = now() - interval '1 second'")
    provider = Answering()
    stage = made_stage(tmp_path, await make_ledger(pool), provider, lambda: 0.0)
    provider.waits = asyncio.Event()
    calling = asyncio.create_task(stage.handle_one(delivery(job)))
    while not provider.calls:
        await asyncio.sleep(0.01)
    await store(pool).cancel(job.tenant_id, job.job_id)
    # When another message of the same step comes by, which asks for that very attempt
    twin = await stage.handle_one(delivery(job, attempt=2))
    # Then it leaves the call alone, which is recorded and charged
    assert isinstance(twin, Done)
    provider.waits.set()
    assert isinstance(await calling, Forward)
    assert await pool.fetchval("select array_agg(state order by attempt) from attempts") == [3, 1]


@pytest.mark.parametrize(("sent", "free"), [(False, 1), (True, 0)])
async def test_the_successor_of_a_failed_call_knows_whether_it_cost_anything(
    pool: Pool, tmp_path: Path, sent: bool, free: int
) -> None:
    (job,) = await submitted(pool)
    failure = ProviderError(ProviderErrorKind.OVERLOADED, "busy", sent=sent, retryable=True)
    stage = made_stage(tmp_path, await make_ledger(pool), Answering(failure), lambda: 0.0)

    assert isinstance(await stage.handle_one(delivery(job)), Done)

    body = await pool.fetchval("select body from outbox where topic = $1", int(Topic.PROMPTS_STANDARD))
    successor = decode(Prompt, body)
    assert (successor.attempt, successor.free, successor.paid(2)) == (2, free, 2 - free)


async def test_p3_a_call_that_breaks_off_by_a_bug_is_charged_whole_and_not_made_again_by_a_replay(
    pool: Pool, tmp_path: Path
) -> None:
    # Given a provider that fails in a way nobody foresaw, after it has sent
    budget = await put_budget(pool, 100 * USD)
    (job,) = await submitted(pool)
    provider = Answering(bug=ValueError("a header nobody thought of"))
    stage = made_stage(tmp_path, await make_ledger(pool), provider, lambda: 0.0)
    # When its message is handled, set aside, and replayed
    with pytest.raises(ValueError, match="nobody thought of"):
        await stage.handle_one(delivery(job))
    outcome = await stage.handle_one(delivery(job))
    # Then one call was made, it is charged, and no reservation is left over
    assert provider.calls == 1
    assert isinstance(outcome, Forward)
    (row,) = await pool.fetch("select state, error_code, cost_nanos = reserved_nanos as whole from attempts")
    assert tuple(row) == (3, BROKEN, True)
    reserved, settled = await pool.fetchrow(
        "select reserved_nanos, settled_nanos from budgets where id = $1", budget.budget_id
    ) or (1, 0)
    assert reserved == 0
    assert settled > 0
