"""Reads what ``submit`` is given: one JSON object, an array of inputs, or NDJSON. Pure.

The bytes of each input go on as they were written; the API is the one that judges them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import orjson

from common.errors import Fault, RequestError

_raw_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_any_json = msgspec.json.Decoder(msgspec.Raw).decode


@dataclass(frozen=True, slots=True)
class Inputs:
    """``batch``: the form says that there are several, even if it is one."""

    items: tuple[bytes, ...]
    batch: bool


def read_inputs(text: bytes) -> Inputs:
    """Raises RequestError that names the line or byte where the text is not JSON."""
    text = text.removeprefix(b"\xef\xbb\xbf").strip()
    if not text:
        raise _unreadable("The file is empty.", Fault("", "one JSON object, an array, or NDJSON is wanted"))
    if text.startswith(b"["):
        try:
            return Inputs(tuple(bytes(item) for item in _raw_array(text)), batch=True)
        except msgspec.DecodeError as error:
            whole = error
    else:
        try:
            return Inputs((bytes(_any_json(text)),), batch=False)
        except msgspec.DecodeError as error:
            whole = error
    lines = [(number, line) for number, line in enumerate(text.split(b"\n"), 1) if line.strip()]
    if len(lines) == 1 or not _is_json(lines[0][1]):
        raise _unreadable("The file is not JSON.", Fault("", str(whole)))
    for number, line in lines:
        if not _is_json(line):
            raise _unreadable("The file is not NDJSON.", Fault(f"line {number}", "is not JSON"))
    return Inputs(tuple(line.strip() for _, line in lines), batch=True)


def _is_json(line: bytes) -> bool:
    try:
        _any_json(line)
    except msgspec.DecodeError:
        return False
    return True


def _unreadable(detail: str, fault: Fault) -> RequestError:
    return RequestError(0, "unreadable_file", detail, faults=[fault])


def job_body(recipe: str, text: bytes, fields: Mapping[str, object]) -> bytes:
    """The body of one job, its input byte for byte as given."""
    envelope = {"recipe": recipe, **{name: value for name, value in fields.items() if value}}
    return orjson.dumps(envelope)[:-1] + b',"input":' + text + b"}"


def batch_body(recipe: str, inputs: Sequence[bytes], fields: Mapping[str, object]) -> bytes:
    """The body of a batch as NDJSON."""
    # A JSON text may hold line breaks between its tokens, and nowhere else.
    flat = (text.replace(b"\r", b" ").replace(b"\n", b" ") for text in inputs)
    return b"\n".join(job_body(recipe, text, fields) for text in flat) + b"\n"
