"""How long it took, after each fault, until work flowed again. Pure.

The measure: the first output that readers see of a job accepted after the fault struck (after it ended, where it
hung or changed something). A fault that others fell into is charged with theirs too, and marked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.evidence import Accepted, FaultSeen

_FROM_ITS_END = ("stop", "scale", "restart")


@dataclass(frozen=True, slots=True)
class Recovery:
    """One fault and its recovery time; None where no job came after it. ``alone``: nothing else fell into it."""

    fault: FaultSeen
    seconds: float | None
    alone: bool = True


def recoveries(faults: Sequence[FaultSeen], accepted: Sequence[Accepted], seen: Mapping[str, float]) -> list[Recovery]:
    """Return the recovery of each fault."""
    # A job whose 202 was read late, by a client that hung, may have been seen before.
    ended = sorted((one.at, seen[one.job_id]) for one in accepted if seen.get(one.job_id, 0.0) > one.at)
    found = []
    for fault in faults:
        since = _since(fault)
        after = [seen_at for accepted_at, seen_at in ended if accepted_at > since]
        until = min(after) if after else float("inf")
        alone = not any(other.at < until and _over(other, ended) > fault.at for other in faults if other is not fault)
        found.append(Recovery(fault, min(after) - since if after else None, alone))
    return found


def worst_alone(found: Sequence[Recovery], action: str, targets: Sequence[str]) -> float | None:
    """Return the longest recovery from this action on one of these, of those that nothing else fell into."""
    times = [
        each.seconds
        for each in found
        if each.alone
        and each.seconds is not None
        and each.fault.action.startswith(action)
        and each.fault.target in targets
    ]
    return max(times, default=None)


def _since(fault: FaultSeen) -> float:
    return fault.until if fault.action.startswith(_FROM_ITS_END) else fault.at


def _over(fault: FaultSeen, ended: Sequence[tuple[float, float]]) -> float:
    """When work flowed again after a fault."""
    since = _since(fault)
    return min((seen_at for accepted_at, seen_at in ended if accepted_at > since), default=float("inf"))
