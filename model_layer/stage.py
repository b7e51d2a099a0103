"""The model stage: prompt in; slot, reserve, call, settle; completion out.

Deliveries are finished one by one, many in flight. The reservation is committed before the call, the raw
answer before anything is made of it (P3). A copy that meets its twin in this process joins it; one that meets
a live lease elsewhere is parked until just after its end; one whose answer is stored is answered from it.
"""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

import structlog

from common.clock import Clock, system_clock
from common.coalesce import Coalescer
from common.contracts import Completion, FailedAnswer, Prompt, decode
from common.errors import JobError, PoisonError, ProviderError
from common.failpoint import failpoint
from common.kafka.consumer import Delivery
from common.kafka.producer import Record
from common.outcomes import Done, Forward, Hold, Reject, Retry
from common.outcomes import Outcome as StageOutcome
from common.pipeline import PROMPTS_OF, Topic
from common.ports import Ledger, ParkedMessage, Reservation, ReserveDecision, ReserveKind, Settlement, StoredAnswer
from common.ports import Outcome as CallOutcome
from common.recipes import Recipe
from common.recipes.manifest import Step as StepPolicy
from common.recipes.shelf import RecipeShelf
from model_layer.deployments import Deployment, DeploymentCatalogue, Tier
from model_layer.lease import Lease
from model_layer.metrics import ModelMetrics
from model_layer.once import Once
from model_layer.pricing import charge, reservation
from model_layer.provider import Message, ModelAnswer, ModelRequest, Provider
from model_layer.retry import UNBILLED_TRIES, aftermath
from model_layer.routing import NoRoute, RoutePolicy, route
from model_layer.settling import Settling, broken_call, not_called
from model_layer.slots import Slots

log = structlog.get_logger(__name__)

_LONGEST_ANSWER = 2 * 1024 * 1024
_BUDGET_WAIT_S = 1.0
# Larger ones save nothing more, and the planner joins their arrays by nested loops: 128 settle in twice the time of 64.
_MICRO_BATCH = 64
_LEASE_MARGIN_S = 0.2

Key = tuple[UUID, str, int, int]


@dataclass(frozen=True, slots=True)
class Call:
    """One delivery on its way to a provider."""

    prompt: Prompt
    body: bytes
    recipe: Recipe
    policy: StepPolicy
    deployment: Deployment
    output_cap: int
    reserved_nanos: int

    @property
    def tries_allowed(self) -> int:
        """How far attempt numbers may go, refusals that cost nothing included."""
        return self.policy.max_attempts + UNBILLED_TRIES


class ModelStage:
    """``common.runner.StreamStage``. One provider and one set of slots a deployment."""

    def __init__(
        self,
        *,
        shelf: RecipeShelf,
        catalogue: DeploymentCatalogue,
        providers: Mapping[str, Provider],
        ledger: Ledger,
        lease: Lease,
        metrics: ModelMetrics | None = None,
        clock: Clock = system_clock,
        chance: random.Random | None = None,
    ) -> None:
        self._shelf = shelf
        self._catalogue = catalogue
        self._providers = providers
        self._slots = {d.alias: Slots(d.limits.concurrency) for d in catalogue.deployments}
        self._lease = lease
        self._metrics = metrics
        self._clock = clock
        self._told: set[str] = set()
        self._chance = chance or random.Random()  # noqa: S311 - jitter, not a secret
        self._reserving: Coalescer[Reservation, ReserveDecision] = Coalescer(
            ledger.reserve, most=_MICRO_BATCH, lanes=2, atomic=True
        )
        self._settling = Settling(ledger, most=_MICRO_BATCH)
        self._deliveries: Once[Key, StageOutcome] = Once()
        self._calls: Once[Key, StageOutcome] = Once()
        self._steps_at_work: Counter[tuple[UUID, str, int]] = Counter()
        self._given_back: dict[tuple[UUID, str, int], set[int]] = {}
        """Attempts of steps at work that are not to be called any more, whatever a message has heard of them."""

    async def handle_one(self, delivery: Delivery) -> StageOutcome:
        """Finish one delivery. Raises InfrastructureError: the runner waits and hands it in again."""
        try:
            prompt = decode(Prompt, delivery.value)
        except PoisonError as poison:
            return Reject(str(poison), type(poison).__name__)
        key = (prompt.job_id, prompt.step, prompt.item, prompt.attempt)
        return await self._deliveries.run(key, lambda: self._finish(prompt, delivery.value or b""))

    async def _finish(self, prompt: Prompt, body: bytes) -> StageOutcome:
        step = (prompt.job_id, prompt.step, prompt.item)
        self._steps_at_work[step] += 1
        try:
            return await self._routed(prompt, body)
        finally:
            self._steps_at_work[step] -= 1
            if not self._steps_at_work[step]:
                del self._steps_at_work[step]
                self._given_back.pop(step, None)

    async def _routed(self, prompt: Prompt, body: bytes) -> StageOutcome:
        try:
            recipe = await self._shelf.recipe(prompt.recipe_hash)
        except JobError as error:
            return _failed(prompt, prompt.attempt, error.code, error.detail)
        policy = recipe.step(prompt.step)
        wish = _wish(prompt.model or policy.model, self._catalogue)
        output_limit = prompt.max_output_tokens or policy.max_output_tokens
        decision = route(
            wish,
            self._catalogue,
            input_tokens_bound=prompt.input_tokens_bound,
            max_output_tokens=output_limit,
        )
        if isinstance(decision, NoRoute):
            return self._without_route(prompt, body, decision)
        deployment = self._catalogue.get(decision.deployment)
        assert deployment is not None  # noqa: S101 - the router names deployments of this very catalogue
        cap = min(output_limit, deployment.limits.max_output_tokens)
        amount = reservation(deployment.price, prompt.input_tokens_bound, cap)
        call = Call(prompt, body, recipe, policy, deployment, cap, amount)
        async with self._slots[deployment.alias].taken(prompt):
            return await self._proceed(call, await self._reserved(call))

    async def _reserved(self, call: Call) -> ReserveDecision:
        """Ask the ledger. Who slept past the lease meanwhile asks again: it may have been given to another worker."""
        if not self._lease.fresh():
            await self._lease.renew()
        failpoint("model.before_reserve")
        decision = await self._reserving.submit(_reservation(call))
        if decision.kind is ReserveKind.GRANTED:
            failpoint("model.after_reserve")
        if self._lease.fresh():
            return decision
        await self._lease.renew()
        return await self._reserving.submit(_reservation(call))

    def _without_route(self, prompt: Prompt, body: bytes, found: NoRoute) -> Hold:
        """Hold a job for the operator, who finds in the log, once for each reason, what its tenant is not shown."""
        if found.reason not in self._told:
            self._told.add(found.reason)
            log.warning("no route", code=found.code.value, reason=found.reason, job_id=str(prompt.job_id))
        return Hold(self._parked(prompt, body, None, f"{found.code}: {found.told}"))

    async def _proceed(self, call: Call, decision: ReserveDecision) -> StageOutcome:
        """Act on the ledger's answer, inside the slot."""
        if decision.uncalled:
            free = call.prompt.free + decision.uncalled
            call = replace(call, prompt=call.prompt.model_copy(update={"free": free}))
        prompt = call.prompt
        if decision.unused is not None:
            await self._give_back(prompt, decision.unused)
        match decision.kind:
            # IN_FLIGHT: the reservation was committed but its answer was lost on the way, or an older message,
            # led on by the ledger, is making this very call: then it is joined.
            case ReserveKind.GRANTED | ReserveKind.IN_FLIGHT:
                step = (prompt.job_id, prompt.step, prompt.item)
                if decision.attempt in self._given_back.get(step, ()):
                    until = self._clock() + _BUDGET_WAIT_S
                    return Retry(self._parked(prompt, call.body, until, "its reservation is given back"))
                if self._metrics is not None:
                    self._metrics.granted(decision)
                key = (*step, decision.attempt)
                return await self._calls.run(key, lambda: self._call(call, decision.attempt))
            case ReserveKind.ANSWERED if decision.answer is not None:
                return self._stored(call, decision.attempt, decision.answer)
            case ReserveKind.FAILED:
                return _failed(prompt, decision.attempt, decision.reason or "failed", "no attempt is left")
            case ReserveKind.EXPIRED:
                detail = "the deadline passed before a call could start"
                return _failed(prompt, decision.attempt, "deadline_exceeded", detail)
            case ReserveKind.LEASED:
                until = (decision.until or self._clock()) + _LEASE_MARGIN_S
                return Retry(self._parked(prompt, call.body, until, "another worker is calling"))
            case ReserveKind.WAIT:
                until = self._clock() + _BUDGET_WAIT_S
                return Retry(self._parked(prompt, call.body, until, decision.reason or "budget"))
            case _:
                return Done(decision.kind.value)

    async def _give_back(self, prompt: Prompt, attempt: int) -> None:
        """Settle a reservation that was overtaken, unless its call is under way or another message may make it.

        The job ended, or an earlier attempt was answered late, while this worker slept or before it heard that the
        reservation was committed.
        """
        step = (prompt.job_id, prompt.step, prompt.item)
        if (*step, attempt) not in self._calls and self._steps_at_work[step] == 1:
            self._given_back.setdefault(step, set()).add(attempt)
            await self._settling.settle(not_called(prompt, attempt))

    def _stored(self, call: Call, attempt: int, stored: StoredAnswer) -> StageOutcome:
        """Read an answer that is paid for again, by the provider that got it."""
        provider = self._providers.get(stored.deployment)
        if provider is None:
            reason = f"deployment_gone: the stored answer is of deployment {stored.deployment!r}; put it back"
            return Hold(self._parked(call.prompt, call.body, None, reason))
        try:
            return _answered(call.prompt, attempt, provider.decode_stored(stored.raw))
        except ProviderError as error:
            return _failed(call.prompt, attempt, error.kind.value, error.message)

    async def _call(self, call: Call, attempt: int) -> StageOutcome:
        prompt, deployment = call.prompt, call.deployment
        request = ModelRequest(
            model=deployment.model,
            messages=tuple(Message(part.role, part.content) for part in prompt.messages),
            max_output_tokens=call.output_cap,
            request_id=f"{prompt.job_id}/{prompt.step}/{prompt.item}/{attempt}",
            timeout_s=deployment.limits.timeout_s,
            temperature=call.policy.temperature,
            schema=call.recipe.output.schema,
            schema_name=call.recipe.name,
        )
        try:
            answer = await self._providers[deployment.alias].call(request)
        except ProviderError as error:
            return await self._call_failed(call, attempt, error)
        except Exception:
            await self._settling.settle(broken_call(prompt, attempt, call.reserved_nanos))
            raise
        failpoint("model.after_call")
        usage = answer.usage
        await self._settling.settle(
            Settlement(
                ref=prompt,
                attempt=attempt,
                outcome=CallOutcome.ANSWERED,
                cost_nanos=charge(deployment.price, usage, call.reserved_nanos),
                raw=answer.raw,
                model_served=answer.model_served,
                request_id=answer.request_id,
                finish_reason=answer.finish_reason.value,
                input_tokens=usage.input_tokens if usage else 0,
                cached_tokens=usage.cached_input_tokens if usage else 0,
                output_tokens=usage.output_tokens if usage else 0,
                latency_ms=round(answer.latency_ms),
            )
        )
        failpoint("model.after_settle")
        if usage and self._metrics is not None and (prompt.reasks or prompt.model or prompt.max_output_tokens):
            self._metrics.asked_again(call.recipe.name, deployment.model, usage)
        return _answered(prompt, attempt, answer)

    async def _call_failed(self, call: Call, attempt: int, error: ProviderError) -> StageOutcome:
        after = aftermath(
            error,
            attempt=attempt,
            paid=call.prompt.paid(attempt),
            max_attempts=call.policy.max_attempts,
            reserved_nanos=call.reserved_nanos,
            jitter=self._chance.random(),
        )
        successor = None
        if after.retry:
            free = call.prompt.free + (after.outcome is CallOutcome.FAILED)
            again = call.prompt.model_copy(update={"attempt": attempt + 1, "free": free})
            not_before = None if after.delay_s is None else self._clock() + after.delay_s
            body = again.model_dump_json(exclude_none=True).encode()
            successor = self._parked(again, body, not_before, f"{error.kind.value}: {error.message}")
        failpoint("model.after_failed_call")
        log.info("call failed", deployment=call.deployment.alias, kind=error.kind.value, retry=after.retry)
        await self._settling.settle(
            Settlement(
                ref=call.prompt,
                attempt=attempt,
                outcome=after.outcome,
                cost_nanos=after.cost_nanos,
                raw=error.raw or None,
                request_id=error.request_id,
                error_code=error.kind.value,
                retry=successor,
            )
        )
        failpoint("model.after_failed_settle")
        if successor is not None:
            return Done("parked with its settlement")
        return _failed(call.prompt, attempt, error.kind.value, error.message)

    def _parked(self, prompt: Prompt, body: bytes, not_before: float | None, reason: str) -> ParkedMessage:
        return ParkedMessage(
            message_id=prompt.message_id("prompts"),
            job_id=prompt.job_id,
            tenant_id=prompt.tenant_id,
            topic=PROMPTS_OF[prompt.lane],
            body=body,
            not_before=not_before,
            reason=reason,
        )


def _wish(model: str, catalogue: DeploymentCatalogue) -> RoutePolicy:
    """Read a recipe's ``model``: an alias first, else a tier."""
    if catalogue.get(model) is None and model in set(Tier):
        return RoutePolicy(tier=Tier(model))
    return RoutePolicy(deployment=model)


def _reservation(call: Call) -> Reservation:
    return Reservation(
        ref=call.prompt,
        max_attempts=call.tries_allowed,
        deployment=call.deployment.alias,
        model=call.deployment.model,
        price_version=call.deployment.price.version,
        prompt_hash=call.prompt.prompt_hash,
        amount_nanos=call.reserved_nanos,
        body=call.body,
    )


def _answered(prompt: Prompt, attempt: int, answer: ModelAnswer) -> Forward:
    if len(answer.text) > _LONGEST_ANSWER:
        return _failed(prompt, attempt, "answer_too_large", f"the answer has {len(answer.text)} characters")
    return _completion(prompt, attempt, text=answer.text, finish_reason=answer.finish_reason.value)


def _failed(prompt: Prompt, attempt: int, code: str, detail: str) -> Forward:
    return _completion(prompt, attempt, error=FailedAnswer(code=code, detail=detail))


def _completion(
    prompt: Prompt,
    attempt: int,
    *,
    text: str | None = None,
    finish_reason: str | None = None,
    error: FailedAnswer | None = None,
) -> Forward:
    completion = Completion(**prompt.reference(attempt), text=text, finish_reason=finish_reason, error=error)
    value = completion.model_dump_json(exclude_none=True).encode()
    return Forward((Record(Topic.COMPLETIONS, str(prompt.job_id).encode(), value),))
