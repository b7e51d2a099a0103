"""``headrace validate``: reads an answer as the pipeline would, with nothing running. The exit code is the verdict."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.console import Console
from rich.markup import escape

from common.errors import Fault, RequestError, SchemaError, StrictJsonError
from common.schema import CompiledSchema, Json, Violation, compile_schema, dump_json, parse_json
from headrace.commands.exit_codes import DONE, NOT_SUCCEEDED
from output_validation import ANYTHING, LOSSLESS, SET_ASIDE, STRICT_ONLY, Extraction, Policy, Repair, extract

POLICIES: dict[str, Policy] = {
    "strict": STRICT_ONLY,
    "set-aside": SET_ASIDE,
    "lossless": LOSSLESS,
    "anything": ANYTHING,
}
_MAX_SHOWN = 20
_MAX_BYTES = 64 << 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("validate")(validate)


def validate(
    schema: Annotated[Path, typer.Argument(help="JSON Schema file, as a recipe's output.schema.json.")],
    file: Annotated[str, typer.Argument(help="What a model answered; - reads standard input.")],
    policy: Annotated[
        str, typer.Option(help="Repairs that may pass: strict, set-aside, lossless, anything.")
    ] = "lossless",
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as one JSON object.")] = False,
) -> None:
    """Get the value out of a model's answer: value, repairs, violations. Exit code 0 accepted, 4 refused."""
    if policy not in POLICIES:
        raise typer.BadParameter(f"{policy}: write one of {', '.join(POLICIES)}", param_hint="--policy")
    compiled = _schema(schema)
    extraction = extract(_text(file), compiled, policy=POLICIES[policy])
    if as_json:
        _print(_as_object(extraction))
    else:
        _show(extraction)
    raise typer.Exit(DONE if extraction.ok else NOT_SUCCEEDED)


def _schema(path: Path) -> CompiledSchema:
    try:
        return compile_schema(parse_json(_bytes(path)))
    except StrictJsonError as error:
        raise _unusable(path, "is not JSON", [Fault(error.pointer, str(error))]) from None
    except SchemaError as error:
        raise _unusable(path, "is not a schema that can be used", list(error.faults)) from None


def _text(file: str) -> str:
    raw = _limited("standard input", sys.stdin.buffer) if file == "-" else _bytes(Path(file))
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 at byte {error.start}; models answer in UTF-8, so convert it"
        raise _unusable("standard input" if file == "-" else file, problem, []) from None


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return _limited(path, stream)
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}", []) from None


def _limited(source: Path | str, stream: BinaryIO) -> bytes:
    raw = stream.read(_MAX_BYTES + 1)
    if len(raw) > _MAX_BYTES:
        raise _unusable(source, f"is larger than {_MAX_BYTES >> 20} MiB, as no answer of a model is", [])
    return raw


def _unusable(path: Path | str, problem: str, faults: list[Fault]) -> RequestError:
    return RequestError(0, "unreadable_file", f"{path} {problem}.", faults=faults)


def _show(extraction: Extraction) -> None:
    """Print the value on standard output, and what was done for people on standard error."""
    notes = Console(stderr=True, highlight=False)
    if extraction.ok:
        _print(extraction.value)
    verdict = "accepted" if extraction.ok else "refused"
    notes.print(f"{verdict}: {_plain(extraction.reason)} ({extraction.confidence})")
    for repair in extraction.repairs[:_MAX_SHOWN]:
        place = f" at {repair.pointer or 'the root'}" if repair.pointer is not None else ""
        notes.print(f"  {repair.kind}{_plain(place)}, characters {repair.start} to {repair.end}")
    for violation in (*extraction.violations, *extraction.notes)[:_MAX_SHOWN]:
        notes.print(f"  {_plain(violation.pointer or '(root)')}: {_plain(violation.message)}")


def _print(value: Json) -> None:
    """Print JSON in UTF-8, as JSON is, whatever the terminal's encoding."""
    sys.stdout.flush()
    sys.stdout.buffer.write(dump_json(value) + b"\n")
    sys.stdout.buffer.flush()


def _plain(text: str) -> str:
    """Return text of an answer as it can be shown: a terminal would obey what its control characters say."""
    return escape("".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in text))


def _as_object(extraction: Extraction) -> dict[str, Any]:
    return {
        "ok": extraction.ok,
        "value": extraction.value,
        "strict": extraction.strict,
        "confidence": extraction.confidence.value,
        "reason": extraction.reason,
        "repairs": [_repair(each) for each in extraction.repairs],
        "violations": [_fault(each) for each in extraction.violations],
        "candidates": [
            {
                "place": each.place.value,
                "start": each.start,
                "end": each.end,
                "repairs": [_repair(repair) for repair in each.repairs],
                "faults": [_fault(fault) for fault in each.faults],
            }
            for each in extraction.candidates
        ],
        "chosen": extraction.chosen,
        "notes": [_fault(each) for each in extraction.notes],
    }


def _repair(repair: Repair) -> dict[str, Any]:
    return {"kind": repair.kind.value, "start": repair.start, "end": repair.end, "pointer": repair.pointer}


def _fault(violation: Violation) -> dict[str, Any]:
    return {
        "pointer": violation.pointer,
        "keyword": violation.keyword,
        "message": violation.message,
        "expected": violation.expected,
        "actual": violation.actual,
    }
