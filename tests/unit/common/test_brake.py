"""When a flood of poison stops a stage, and when it goes on."""

import asyncio

from common.brake import WINDOW_S, Brake
from common.errorlog import ErrorTally
from common.errors import DatabaseUnavailable
from common.ids import uuid7
from common.ports import ErrorNote


class Letters:
    """How many letters are open, as Postgres would say."""

    def __init__(self, count: int) -> None:
        self.count = count

    async def waiting(self, stage: str, most: int) -> int:
        return min(self.count, most)


def test_letters_beyond_the_limit_wait_until_the_window_has_passed() -> None:
    now = [0.0]
    brake = Brake("stage", 3, Letters(1).waiting, clock=lambda: now[0])

    took = [brake.take(2), brake.take(2), brake.take(1)]
    now[0] = WINDOW_S
    later = brake.take(1)

    assert took == [True, True, False]
    assert later


async def test_a_paused_stage_says_so_and_goes_on_once_its_letters_are_dealt_with() -> None:
    letters = Letters(3)
    brake = Brake("stage", 1, letters.waiting)
    brake.take(1)

    pausing = asyncio.create_task(brake.pause())
    await asyncio.sleep(0)
    while_paused = brake.reason
    letters.count = 0
    await pausing

    assert while_paused is not None
    assert "headrace dead-letters" in while_paused
    assert brake.reason is None
    assert brake.take(1)


async def test_errors_are_added_up_and_kept_until_they_can_be_written() -> None:
    written: list[ErrorNote] = []
    away = [True]

    async def write(notes: list[ErrorNote]) -> None:
        if away[0]:
            raise DatabaseUnavailable("away")
        written.extend(notes)

    job_id = uuid7()
    tally = ErrorTally("stage", write)  # type: ignore[arg-type]  # a list is the sequence it is given
    tally.note("Bad", "first", job_id)
    await tally.write()
    tally.note("Bad", "second", job_id)
    away[0] = False
    await tally.write()
    await tally.write()

    assert [(note.job_id, note.kind, note.count, note.detail) for note in written] == [(job_id, "Bad", 2, "second")]
