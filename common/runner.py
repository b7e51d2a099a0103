"""The only consume loop: fetch, hand to the stage, publish what it returns, commit the finished prefix.

Serial: fetching. Parallel: in a stream stage, deliveries (at most ``window``), each owned by one task of this
runner; a batch stage finishes a batch before the next is fetched. On infrastructure trouble the same deliveries
are tried again with back-off, for as long as it lasts; nothing is given up and nothing is committed (P9). A flood
of records that nobody can handle pauses the stage (P6); what goes wrong is told to the error log.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, Protocol
from uuid import UUID

import structlog

from common.brake import Brake
from common.errorlog import ErrorTally
from common.errors import BrokerUnavailable, InfrastructureError, RecordRefused
from common.failpoint import failpoint, stage_points
from common.kafka.consumer import Delivery, WorkConsumer
from common.kafka.producer import Record, WorkProducer
from common.metrics import RunnerMetrics
from common.outcomes import Done, Forward, Hold, Outcome, Reject, Retry
from common.payloads import by_reference, reference_in
from common.pipeline import StageSpec
from common.ports import DeadLetter, Parking

log = structlog.get_logger(__name__)

_COMMIT_EVERY_S = 0.2
_FETCH_WAIT_S = 0.5
_BACKOFF_FIRST_S = 0.1
_BACKOFF_LAST_S = 2.0
# A consumer that fails so often in a row does not mend itself: another one joins in its place.
_FETCHES_FAILED = 6


class BatchStage(Protocol):
    """Finishes a batch at once: as many outcomes as deliveries, in their order."""

    async def handle(self, batch: Sequence[Delivery]) -> Sequence[Outcome]: ...


class StreamStage(Protocol):
    """Finishes deliveries one by one, out of order, many in flight."""

    async def handle_one(self, delivery: Delivery) -> Outcome: ...


class FinishedPrefix:
    """Which offset of each partition may be committed: contiguous in delivery order, not in integers."""

    def __init__(self) -> None:
        self._pending: dict[tuple[str, int], deque[int]] = {}
        self._finished: dict[tuple[str, int], set[int]] = {}
        self._next: dict[tuple[str, int], int] = {}

    def delivered(self, batch: Sequence[Delivery]) -> None:
        """Note deliveries, in their order."""
        for delivery in batch:
            self._pending.setdefault(delivery.place, deque()).append(delivery.offset)

    def finished(self, delivery: Delivery) -> None:
        """Note that a delivery is done. One whose partition was revoked meanwhile is ignored."""
        pending = self._pending.get(delivery.place)
        if not pending:
            return
        done = self._finished.setdefault(delivery.place, set())
        done.add(delivery.offset)
        while pending and pending[0] in done:
            offset = pending.popleft()
            done.discard(offset)
            self._next[delivery.place] = offset + 1

    def take(self) -> dict[tuple[str, int], int]:
        """Return the next offsets that rose since the last call."""
        rose, self._next = self._next, {}
        return rose

    def clear(self) -> None:
        """Forget everything: the partitions were revoked."""
        self._pending.clear()
        self._finished.clear()
        self._next.clear()


class Runner:
    """Runs one stage until told to stop, then drains."""

    def __init__(
        self,
        spec: StageSpec,
        stage: BatchStage | StreamStage,
        *,
        bootstrap: str,
        prefix: str,
        producer: WorkProducer,
        parking: Parking,
        metrics: RunnerMetrics,
        batch_size: int = 500,
        window: int = 1,
        drain_s: float = 10.0,
        reject_limit: int = 200,
    ) -> None:
        self._spec = spec
        self._stage = stage
        self._consumer = WorkConsumer(bootstrap, prefix, spec.name, spec.reads, on_revoked=self._revoked)
        self._producer = producer
        self._parking = parking
        self._metrics = metrics
        self._batch_size = batch_size
        self._window = window
        self._drain_s = drain_s
        self._prefix = FinishedPrefix()
        self._points = stage_points(spec.name)
        self._in_flight: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._errors = ErrorTally(spec.name, parking.note_errors)
        self._brake = Brake(spec.name, reject_limit, parking.waiting_letters)
        self.joined = False

    async def check(self) -> None:
        """Raise InfrastructureError with the reason while the stage cannot work: not joined, Kafka away, paused."""
        if not self.joined:
            raise BrokerUnavailable("the stage has not joined its consumer group")
        if (reason := self._brake.reason) is not None:
            raise InfrastructureError(reason)
        await self._consumer.check()

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until ``stop`` is set, then finish what is in flight within ``drain_s`` and leave."""
        committer = asyncio.create_task(self._commit_often(), name=f"{self._spec.name}-committer")
        telling = asyncio.create_task(self._errors.keep_writing(), name=f"{self._spec.name}-errors")
        try:
            await self._until(stop, self._consume(stop))
            await self._drain()
        finally:
            for task in (committer, telling, *self._in_flight):
                task.cancel()
            await asyncio.gather(committer, telling, *self._in_flight, return_exceptions=True)
            await self._commit()
            await self._consumer.stop()
            await self._errors.write()

    async def _consume(self, stop: asyncio.Event) -> None:
        delay_s, failed = _BACKOFF_FIRST_S, 0
        while not stop.is_set():
            try:
                if not self.joined:
                    await self._consumer.start()
                    self.joined = True
                    log.info("joined", stage=self._spec.name)
                await self._turn()
                delay_s, failed = _BACKOFF_FIRST_S, 0
            except InfrastructureError as trouble:
                delay_s = await self._wait(trouble, delay_s)
                failed += 1
                if self.joined and failed >= _FETCHES_FAILED:
                    await self._leave()

    async def _leave(self) -> None:
        """Give a consumer up that only fails; what is in flight meets its copy when it comes again."""
        self.joined = False
        self._prefix.clear()
        await self._consumer.stop()
        log.warning("left", stage=self._spec.name)

    async def _turn(self) -> None:
        await self._brake.released()
        if hasattr(self._stage, "handle_one"):
            room = self._window - len(self._in_flight)
            if room <= 0:
                self._room.clear()
                await self._room.wait()
                return
            batch = await self._consumer.fetch(max_records=min(room, self._batch_size), timeout_s=_FETCH_WAIT_S)
            self._prefix.delivered(batch)
            for delivery in batch:
                task = asyncio.create_task(self._one(delivery))
                self._in_flight.add(task)
                task.add_done_callback(self._landed)
        else:
            batch = await self._consumer.fetch(max_records=self._batch_size, timeout_s=_FETCH_WAIT_S)
            if batch:
                self._prefix.delivered(batch)
                await self._repeat_until_done(batch)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._in_flight.discard(task)
        self._room.set()

    async def _one(self, delivery: Delivery) -> None:
        await self._repeat_until_done([delivery])

    async def _repeat_until_done(self, delivered: Sequence[Delivery]) -> None:
        """Handle, act and mark finished; on infrastructure trouble wait and do the same again."""
        delay_s = _BACKOFF_FIRST_S
        while True:
            try:
                batch = await self._whole(delivered)
                outcomes = await self._outcomes(batch) if batch else ()
                rejects = sum(isinstance(outcome, Reject) for outcome in outcomes)
                if rejects and not self._brake.take(rejects):
                    await self._brake.pause()
                    continue
                await self._act(batch, outcomes)
                break
            except InfrastructureError as trouble:
                delay_s = await self._wait(trouble, delay_s)
        for delivery in delivered:
            self._prefix.finished(delivery)
        for outcome in outcomes:
            self._metrics.finished(outcome)

    async def _whole(self, delivered: Sequence[Delivery]) -> Sequence[Delivery]:
        """Return deliveries with the bytes that references stand for; gone ones are copies about ended jobs."""
        references = {(*d.place, d.offset): r for d in delivered if (r := reference_in(d.value)) is not None}
        if not references:
            return delivered
        bodies = await self._parking.payloads(list(references.values()))
        whole: list[Delivery] = []
        for delivery in delivered:
            reference = references.get((*delivery.place, delivery.offset))
            if reference is None:
                whole.append(delivery)
            elif reference in bodies:
                whole.append(replace(delivery, value=bodies[reference]))
        return whole

    async def _outcomes(self, batch: Sequence[Delivery]) -> Sequence[Outcome]:
        """Ask the stage. A handler bug is isolated: the batch is split until the culprit stands alone."""
        try:
            if hasattr(self._stage, "handle_one"):
                return [await self._stage.handle_one(batch[0])]
            return await self._stage.handle(batch)
        except InfrastructureError:
            raise
        except Exception as bug:
            if len(batch) > 1:
                half = len(batch) // 2
                return [*await self._outcomes(batch[:half]), *await self._outcomes(batch[half:])]
            log.error("handler failed", stage=self._spec.name, exc_info=bug)
            return [Reject(f"the {self._spec.name} stage failed on it", type(bug).__name__)]

    async def _act(self, batch: Sequence[Delivery], outcomes: Sequence[Outcome]) -> None:
        records: list[Record] = []
        parked = []
        letters = []
        for delivery, outcome in zip(batch, outcomes, strict=True):
            match outcome:
                case Forward():
                    records.extend(_traced(delivery, outcome.records))
                case Retry() | Hold():
                    parked.append(outcome.message)
                case Reject():
                    letters.append(_letter(self._spec.name, delivery, outcome))
                case Done():
                    pass
        if parked:
            await self._parking.park(parked)
        if letters:
            await self._parking.set_aside(letters)
            for letter in letters:
                self._errors.note(letter.exception, letter.reason, letter.job_id)
            log.warning("set aside", stage=self._spec.name, records=len(letters), reason=letters[0].reason)
        if not records:
            return
        sent = [by_reference(record) for record in records]
        if large := [payload for _, payload in sent if payload is not None]:
            await self._parking.keep_payloads(large)
            records = [record for record, _ in sent]
        failpoint(self._points.before_send)
        try:
            await self._producer.send_all(records)
        except RecordRefused as refusal:
            await self._act_alone(batch, outcomes, refusal)
        failpoint(self._points.after_send)

    async def _act_alone(self, batch: Sequence[Delivery], outcomes: Sequence[Outcome], refusal: RecordRefused) -> None:
        """Send each delivery's records on their own; a delivery whose record Kafka cannot take is set aside."""
        if len(batch) == 1:
            letter = _letter(self._spec.name, batch[0], Reject(refusal.reason, type(refusal).__name__))
            await self._parking.set_aside([letter])
            self._errors.note(letter.exception, letter.reason, letter.job_id)
            return
        for delivery, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Forward):
                await self._act([delivery], [outcome])

    async def _wait(self, trouble: InfrastructureError, delay_s: float) -> float:
        self._metrics.waited(trouble)
        self._errors.note(type(trouble).__name__, str(trouble))
        log.warning("waiting", stage=self._spec.name, trouble=str(trouble), delay_s=delay_s)
        await asyncio.sleep(delay_s)
        return min(_BACKOFF_LAST_S, delay_s * 2)

    async def _until(self, stop: asyncio.Event, consuming: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(consuming, name=f"{self._spec.name}-consumer")
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            # The batch in hand gets its time to finish; a fetch that waits is not worth waiting for.
            if not task.done():
                await asyncio.wait({task}, timeout=self._drain_s)
        finally:
            stopping.cancel()
            task.cancel()
            await asyncio.gather(task, stopping, return_exceptions=True)
        if task.done() and not task.cancelled() and (error := task.exception()):
            raise error

    async def _drain(self) -> None:
        if self._in_flight:
            await asyncio.wait(set(self._in_flight), timeout=self._drain_s)

    async def _commit_often(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_EVERY_S)
            await self._commit()

    async def _commit(self) -> None:
        rose = self._prefix.take()
        if not rose:
            return
        try:
            failpoint(self._points.before_offsets)
            await self._consumer.commit(rose)
            failpoint(self._points.after_offsets)
        except InfrastructureError as trouble:
            self._metrics.waited(trouble)

    async def _revoked(self) -> None:
        await self._commit()
        self._prefix.clear()


def _traced(delivery: Delivery, records: Sequence[Record]) -> Sequence[Record]:
    trace = tuple(header for header in delivery.headers if header[0] == "traceparent")
    return [Record(r.topic, r.key, r.value, r.headers + trace) for r in records] if trace else records


def _letter(stage: str, delivery: Delivery, outcome: Reject) -> DeadLetter:
    return DeadLetter(
        stage=stage,
        topic=delivery.name,
        partition=delivery.partition,
        offset=delivery.offset,
        key=delivery.key,
        value=delivery.value,
        headers=delivery.headers,
        reason=outcome.reason,
        exception=outcome.exception,
        job_id=_job_of(delivery.key),
    )


def _job_of(key: bytes | None) -> UUID | None:
    try:
        return UUID((key or b"").decode())
    except ValueError:
        return None
