"""Reads the inputs of a batch in parts: large ones a few at a time, so that memory stays bounded."""

from collections.abc import AsyncIterator, Collection, Mapping
from uuid import UUID

from common.ports import InputStore


async def inputs_in_parts(
    store: InputStore, job_ids: Collection[UUID]
) -> AsyncIterator[tuple[Collection[UUID], Mapping[UUID, bytes]]]:
    """Yield jobs with their inputs until all have had their turn. Those whose input is no longer stored come last,
    without one. Raises DatabaseUnavailable."""
    waiting = set(job_ids)
    while waiting:
        stored = await store.inputs(list(waiting))
        turn = waiting & stored.keys() or waiting
        yield turn, stored
        waiting = waiting - turn
