"""How long it took, after each fault, until work flowed again. Pure.

The measure: the first output that readers see of a job accepted after the fault struck (after it ended, where it
hung or changed something). A fault that another one followed may be charged with both.
"""

from collections.abc import Mapping, Sequence

from tests.chaos.evidence import Accepted, FaultSeen

_FROM_ITS_END = ("stop", "scale", "restart")


def recovery_s(
    faults: Sequence[FaultSeen], accepted: Sequence[Accepted], seen: Mapping[str, float]
) -> list[tuple[FaultSeen, float | None]]:
    """Return each fault with its recovery time; None where no job came after it."""
    ended = sorted((one.at, seen[one.job_id]) for one in accepted if one.job_id in seen)
    found: list[tuple[FaultSeen, float | None]] = []
    for fault in faults:
        since = fault.until if fault.action.startswith(_FROM_ITS_END) else fault.at
        after = [seen_at for accepted_at, seen_at in ended if accepted_at > since]
        found.append((fault, min(after) - since if after else None))
    return found
