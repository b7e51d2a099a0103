"""Takes batches apart: a JSON array or NDJSON, all or nothing, with the place of every fault.

Long batches are admitted in slices, so that other requests are served between them.
"""

import asyncio
from collections.abc import Callable
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
    body: bytes, form: BatchForm, admit_one: Callable[[bytes], AdmittedJob], *, most_jobs: int
) -> list[AdmittedJob]:
    """Return all its jobs. Raises RequestError with up to MOST_FAULTS faults, each with its job's place."""
    parts = _lines(body) if form is BatchForm.LINES else _array(body)
    if not parts:
        raise refuse("invalid_batch", "A batch has at least one job.", faults=[Fault("", "must not be empty")])
    if len(parts) > most_jobs:
        raise refuse("batch_too_large", f"A batch may have {most_jobs} jobs; this one has {len(parts)}.")
    admitted: list[AdmittedJob] = []
    faults: list[BatchFault] = []
    errors: list[RequestError] = []
    since_pause = 0
    for part in parts:
        try:
            admitted.append(admit_one(part.body))
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


def _lines(body: bytes) -> list[_Part]:
    """Blank lines are skipped, and counted as lines."""
    parts: list[_Part] = []
    for number, line in enumerate(body.split(b"\n"), start=1):
        if line.strip():
            parts.append(_Part(line, len(parts), number))
    return parts


def _array(body: bytes) -> list[_Part]:
    try:
        return [_Part(bytes(raw), index, None) for index, raw in enumerate(_elements(body))]
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        pass
    try:
        parse_json(body, max_depth=_BATCH_DEPTH)
    except StrictJsonError as error:
        raise malformed(error) from None
    raise refuse(
        "invalid_batch",
        "A batch is a JSON array of jobs, or NDJSON with the content type application/x-ndjson.",
        faults=[Fault("", "must be an array of jobs")],
    )
