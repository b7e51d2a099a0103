"""Takes batches apart: a JSON array or NDJSON, all or nothing, with the place of every fault.

Long batches are admitted in slices, so that other requests are served between them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

from common.errors import Fault, RequestError, StrictJsonError
from common.schema import MAX_DEPTH, parse_json
from ingestion.admission import AdmittedJob, malformed
from ingestion.problems import MOST_FAULTS, BatchFault, refuse

_SLICE_BYTES: Final = 128 * 1024
_BATCH_DEPTH: Final = MAX_DEPTH + 2
_elements: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


class BatchForm(Enum):
    """How the jobs of a batch are written down."""

    ARRAY = "application/json"
    LINES = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class _Part:
    body: bytes
    index: int
    line: int | None


async def admit_batch(
    body: bytes, form: BatchForm, admit_one: Callable[[bytes], Awaitable[AdmittedJob]], *, most_jobs: int
) -> list[AdmittedJob]:
    """Return all its jobs. Raises RequestError with up to MOST_FAULTS faults, each with its job's place."""
    parts = _lines(body, most_jobs) if form is BatchForm.LINES else _array(body, most_jobs)
    admitted: list[AdmittedJob] = []
    faults: list[BatchFault] = []
    errors: list[RequestError] = []
    since_pause = 0
    # One part at a time: a batch is large, and its copies are what a process needs its memory for.
    for part in parts:
        try:
            admitted.append(await admit_one(part.body))
        except RequestError as error:
            errors.append(error)
            faults += _placed(error, part)
            if len(faults) > MOST_FAULTS:
                break
        since_pause += len(part.body) + 256
        if since_pause >= _SLICE_BYTES:
            since_pause = 0
            await asyncio.sleep(0)
    if errors:
        raise _refused(errors, faults)
    return admitted


def _refused(errors: list[RequestError], faults: list[BatchFault]) -> RequestError:
    codes = {error.code for error in errors}
    # One reason throughout keeps its own code and status; a mixture is a batch that cannot be accepted.
    code = codes.pop() if len(codes) == 1 else "invalid_batch"
    if code == "invalid_job":
        code = "invalid_batch"
    first = faults[0]
    place = f"line {first.line}" if first.line is not None else f"index {first.index}"
    detail = f"No job of this batch was accepted. The first fault is at {place}: {errors[0].detail}"
    return refuse(code, detail, faults=faults)


def _placed(error: RequestError, part: _Part) -> list[BatchFault]:
    prefix = "" if part.line is not None else f"/{part.index}"
    faults = error.faults or (Fault("", error.detail),)
    return [BatchFault(prefix + f.pointer, f.detail, f.keyword, index=part.index, line=part.line) for f in faults]


def _lines(body: bytes, most_jobs: int) -> Iterator[_Part]:
    """Blank lines are skipped, and counted as lines."""
    _check_size(sum(1 for _ in _spans(body)), most_jobs)
    return (_Part(body[start:end], index, line) for index, (line, start, end) in enumerate(_spans(body)))


def _spans(body: bytes) -> Iterator[tuple[int, int, int]]:
    """Give number, start and end of each line that is not blank."""
    start = number = 0
    while start < len(body):
        number += 1
        end = body.find(b"\n", start)
        end = len(body) if end < 0 else end
        # A slice of a few bytes decides nearly always; only a line that begins blank is looked at whole.
        if body[start : min(end, start + 8)].strip() or body[start:end].strip():
            yield number, start, end
        start = end + 1


def _array(body: bytes, most_jobs: int) -> Iterator[_Part]:
    try:
        elements = _elements(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise _no_array(body) from None
    _check_size(len(elements), most_jobs)
    return (_Part(bytes(raw), index, None) for index, raw in enumerate(elements))


def _no_array(body: bytes) -> RequestError:
    try:
        parse_json(body, max_depth=_BATCH_DEPTH)
    except StrictJsonError as error:
        return malformed(error)
    return refuse(
        "invalid_batch",
        "A batch is a JSON array of jobs, or NDJSON with the content type application/x-ndjson.",
        faults=[Fault("", "must be an array of jobs")],
    )


def _check_size(jobs: int, most_jobs: int) -> None:
    if not jobs:
        raise refuse("invalid_batch", "A batch has at least one job.", faults=[Fault("", "must not be empty")])
    if jobs > most_jobs:
        raise refuse("batch_too_large", f"A batch may have {most_jobs} jobs; this one has {jobs}.")
