"""``headrace validate``: reads an answer as the pipeline would, with nothing running. The exit code is the verdict."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from common.errors import Fault, RequestError, SchemaError, StrictJsonError
from common.schema import CompiledSchema, Violation, compile_schema, dump_json, parse_json
from headrace.commands.exit_codes import DONE, NOT_SUCCEEDED
from output_validation import ANYTHING, LOSSLESS, STRICT_ONLY, Extraction, Policy, extract

POLICIES: dict[str, Policy] = {"lossless": LOSSLESS, "strict": STRICT_ONLY, "anything": ANYTHING}
_MAX_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("validate")(validate)


def validate(
    schema: Annotated[Path, typer.Argument(help="JSON Schema file, as a recipe's output.schema.json.")],
    file: Annotated[str, typer.Argument(help="What a model answered; - reads standard input.")],
    policy: Annotated[str, typer.Option(help="lossless, strict or anything: which repairs may pass.")] = "lossless",
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as one JSON object.")] = False,
) -> None:
    """Get the value out of a model's answer: value, repairs, violations. Exit code 0 accepted, 4 refused."""
    if policy not in POLICIES:
        raise typer.BadParameter(f"{policy}: write one of {', '.join(POLICIES)}", param_hint="--policy")
    compiled = _schema(schema)
    text = sys.stdin.buffer.read() if file == "-" else _bytes(Path(file))
    extraction = extract(text.decode(errors="replace"), compiled, policy=POLICIES[policy])
    if as_json:
        sys.stdout.write(dump_json(_as_object(extraction)).decode() + "\n")
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


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}", []) from None


def _unusable(path: Path, problem: str, faults: list[Fault]) -> RequestError:
    return RequestError(0, "unreadable_file", f"{path} {problem}.", faults=faults)


def _show(extraction: Extraction) -> None:
    """Print the value on standard output, and what was done for people on standard error."""
    notes = Console(stderr=True, highlight=False)
    if extraction.ok:
        sys.stdout.write(dump_json(extraction.value).decode() + "\n")
    verdict = "accepted" if extraction.ok else "refused"
    notes.print(f"{verdict}: {escape(extraction.reason)} ({extraction.confidence})")
    for repair in extraction.repairs[:_MAX_SHOWN]:
        place = f" at {repair.pointer or 'the root'}" if repair.pointer is not None else ""
        notes.print(f"  {repair.kind}{escape(place)}, characters {repair.start} to {repair.end}")
    for violation in (*extraction.violations, *extraction.notes)[:_MAX_SHOWN]:
        notes.print(f"  {escape(violation.pointer or '(root)')}: {escape(violation.message)}")


def _as_object(extraction: Extraction) -> dict[str, Any]:
    return {
        "ok": extraction.ok,
        "value": extraction.value,
        "strict": extraction.strict,
        "confidence": extraction.confidence.value,
        "reason": extraction.reason,
        "repairs": [
            {"kind": each.kind.value, "start": each.start, "end": each.end, "pointer": each.pointer}
            for each in extraction.repairs
        ],
        "violations": [_fault(each) for each in extraction.violations],
        "notes": [_fault(each) for each in extraction.notes],
    }


def _fault(violation: Violation) -> dict[str, Any]:
    return {
        "pointer": violation.pointer,
        "keyword": violation.keyword,
        "message": violation.message,
        "expected": violation.expected,
        "actual": violation.actual,
    }
