"""Named crash points: places where a test ends, stops or disturbs the process that comes by.

Off unless ``HEADRACE_FAILPOINTS`` names a folder; then a file in it, named after a point, is an order: ``kill``,
``stop``, ``raise``, or one of them with a number (``kill 3``: at the third time). The order is renamed to
``<point>.done`` before it is carried out, so that it happens once, however often the process is started again.
Off, a point costs one global read. Never for production; every process says so in its log when it is on.
"""

import os
import signal
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from common.errors import InfrastructureError

POINTS: Final = MappingProxyType(
    {
        # ingestion: one commit for many POSTs
        "submit.before_commit": "submissions are about to be committed",
        "submit.after_commit": "they are committed; the relay has not been woken, nobody has been answered",
        "ingestion.before_answer": "they are committed and the relay is woken; nobody has been answered",
        "cancel.before_commit": "a job is locked and about to be ended as cancelled",
        "cancel.after_commit": "it is cancelled; the caller has not been answered",
        "pause.before_commit": "a job is locked and about to be paused",
        "pause.after_commit": "it is paused; the caller has not been answered",
        "resume.before_commit": "a job is locked and about to go on",
        "resume.after_commit": "it goes on; the relay was not woken",
        # relay, work
        "relay.steps.after_read": "rows were read and nothing was sent",
        "relay.steps.after_send": "Kafka has acknowledged them; the rows are still there",
        "relay.steps.after_delete": "their rows are deleted",
        "relay.after_promote": "parked rows were made ready",
        # relay, public records
        "relay.public.after_read": "rows were read; no transaction is open",
        "relay.public.after_begin": "a transaction is open and empty",
        "relay.public.after_send": "its records are acknowledged",
        "relay.public.after_manifest": "its manifest is acknowledged; nothing is committed",
        "relay.public.after_commit": "EndTxn is answered; readers may not see it yet",
        "relay.public.after_settle": "readers see it; the rows are still there",
        "relay.public.after_delete": "its rows are deleted",
        # relay, recovery
        "relay.recovery.after_init": "the old producer is fenced; its transaction is not settled",
        "relay.recovery.after_closing": "the closing transaction has ended",
        "relay.recovery.after_manifest": "the newest manifest is read; its rows are still there",
        "relay.recovery.after_delete": "its rows are deleted; nothing was read anew",
        # what releases, works off and mends
        "releaser.before_commit": "jobs on hold for a budget are about to be let go",
        "releaser.after_commit": "they are let go; the relay was not woken",
        "controller.before_commit": "a page of an operation on many jobs is about to be committed",
        "controller.after_commit": "it is committed, with where the operation stands",
        "reconciler.before_publish": "jobs that Kafka has lost are about to be published again",
        "reconciler.after_publish": "their messages are queued; the relay was not woken",
        "reconciler.before_charge": "calls that a dead worker left are about to be charged",
        "reconciler.after_charge": "they are charged",
        # stages, by the runner
        "prompt_engine.before_send": "a batch is handled and nothing of it was sent",
        "prompt_engine.after_send": "its records are acknowledged; its offsets are not committed",
        "prompt_engine.before_offsets": "offsets are about to be committed",
        "prompt_engine.after_offsets": "they are committed",
        "model_layer.before_send": "a delivery is finished in the ledger and its completion was not sent",
        "model_layer.after_send": "the completion is acknowledged; its offset is not committed",
        "model_layer.before_offsets": "offsets are about to be committed",
        "model_layer.after_offsets": "they are committed",
        "output_validation.before_send": "a batch is judged and nothing of it was sent",
        "output_validation.after_send": "its records are acknowledged; its offsets are not committed",
        "output_validation.before_offsets": "offsets are about to be committed",
        "output_validation.after_offsets": "they are committed",
        "persistence.before_offsets": "offsets of written verdicts are about to be committed",
        "persistence.after_offsets": "they are committed",
        "indexer.before_offsets": "offsets of indexed outputs are about to be committed",
        "indexer.after_offsets": "they are committed",
        # stages, their own
        "model.before_reserve": "a prompt has its slot; the ledger knows nothing of it",
        "model.after_reserve": "the reservation is committed; no call was made",
        "model.after_call": "the answer is there and not in the ledger",
        "model.after_settle": "the answer is in the ledger",
        "model.after_failed_call": "the call failed; the ledger does not say so",
        "model.after_failed_settle": "the failure and the successor are committed",
        "parking.before_commit": "messages are about to be set aside for later",
        "parking.after_commit": "they are; the relay was not woken",
        "writer.before_commit": "endings are planned and locked",
        "writer.after_commit": "they are committed; the relay was not woken",
        "writer.after_notify": "the relay is woken; nobody else was told",
        "indexer.after_bulk": "a bulk is answered; its offsets are not committed",
    }
)

_DONE: Final = ".done"
_folder: str | None = None
_seen: dict[str, int] = {}


class FailpointRaised(InfrastructureError):
    """What ``raise`` does: as if a server had failed just there."""


class StagePoints(NamedTuple):
    """The names of the points that the runner passes for one stage."""

    before_send: str
    after_send: str
    before_offsets: str
    after_offsets: str


def stage_points(stage: str) -> StagePoints:
    """Return the names for a stage of the pipeline table."""
    return StagePoints._make(f"{stage}.{place}" for place in StagePoints._fields)


def arm(folder: Path | None) -> None:
    """Look for orders in ``folder`` from now on; None: off. For composition roots only."""
    global _folder  # noqa: PLW0603 - a point must cost nothing when off, so the switch is one global
    _folder = None if folder is None else str(folder)
    _seen.clear()


def failpoint(name: str) -> None:
    """Pass a point; returns at once unless a test has an order for it."""
    if _folder is not None:
        _reach(_folder, name)


def _reach(folder: str, name: str) -> None:
    order = os.path.join(folder, name)  # noqa: PTH118 - reached thousands of times a second while a test runs
    try:
        with open(order) as file:  # noqa: PTH123 - as above
            action, _, number = file.read().strip().partition(" ")
    except FileNotFoundError:
        return
    seen = _seen[name] = _seen.get(name, 0) + 1
    if seen < int(number or 1):
        return
    try:
        os.rename(order, order + _DONE)  # noqa: PTH104 - the claim: of several processes here, one carries it out
    except FileNotFoundError:
        return
    _seen.pop(name)
    match action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "raise":
            raise FailpointRaised(f"ordered at {name}")
        case _:
            raise ValueError(f"no such order at {name}: {action!r}")
