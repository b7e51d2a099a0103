"""recipe.toml: what a recipe is called and how each of its steps may use models. Unknown keys are refused."""

import re
import tomllib
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from common.errors import RecipeError

_SEMVER: Final = (
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*)?$"
)
Identifier = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=63)]
Version = Annotated[str, StringConstraints(pattern=_SEMVER, max_length=63)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:-]*$", max_length=127)]


class Step(_Frozen):
    """One step: an identifier, and the model policy of its attempts."""

    id: Identifier
    model: ModelName = Field(default="default", description="Alias of a deployment, or a tier, in models.toml.")
    escalate_to: Annotated[tuple[ModelName, ...], Field(strict=False, max_length=5)] = Field(
        default=(), description="Models asked in turn, each once, when one repeats an error or its re-asks are used up."
    )
    max_output_tokens: int = Field(default=1024, ge=1, le=200_000)
    max_output_tokens_if_cut: int | None = Field(
        default=None, ge=1, le=200_000, description="Output limit after an answer was cut off; else twice the limit."
    )
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_attempts: int = Field(default=4, ge=1, le=20, description="Paid calls in all, failed ones too.")
    max_reasks: int = Field(default=1, ge=0, le=10, description="Times an answer may be sent back with its faults.")


_Expression = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class Check(_Frozen):
    """What an output must hold beyond its schema: one of ``that``, ``unique``, ``values``, ``quotes``.

    All four are expressions over ``input`` and ``output``. ``at`` and ``message`` are what the model is told.
    """

    name: Identifier
    at: Annotated[str, StringConstraints(pattern=r"^(/[^/]*)*$", max_length=200)] = ""
    message: Annotated[str, StringConstraints(max_length=300)] | None = None
    that: _Expression | None = Field(default=None, description="Must be true.")
    unique: _Expression | None = Field(default=None, description="A list in which nothing may stand twice.")
    values: _Expression | None = Field(default=None, description="A value or list, all of it in ``within``.")
    within: _Expression | None = None
    quotes: _Expression | None = Field(default=None, description="A text or list, each found in ``source``.")
    source: _Expression | None = None
    distinct: bool = Field(default=False, description="No quote may be given more often than it stands in ``source``.")


class Manifest(_Frozen):
    """The whole of recipe.toml."""

    name: Identifier
    version: Version
    description: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
    step: tuple[Step, ...] = Field(min_length=1)
    check: tuple[Check, ...] = Field(default=(), max_length=50)


def parse_manifest(text: str, origin: str) -> Manifest:
    """Return the manifest in ``text``. Raises RecipeError naming ``origin``, the line and what to do."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{origin}/recipe.toml is not TOML: {error}. Mend that place.") from None
    for name in ("step", "check"):
        if isinstance(table.get(name), list):
            table[name] = tuple(table[name])
    try:
        manifest = Manifest.model_validate(table)
    except ValidationError as error:
        raise RecipeError("\n".join(_worded(fault, text, origin) for fault in error.errors())) from None
    if len(manifest.step) > 1:
        raise RecipeError(
            f"{origin}/recipe.toml{_line(text, 'step', 2)}: the recipe has {len(manifest.step)} steps. "
            "One step runs now; several come with a later version. Make each step a recipe of its own."
        )
    return manifest


def _worded(fault: Any, text: str, origin: str) -> str:
    names = [str(part) for part in fault["loc"] if not isinstance(part, int)]
    key = ".".join(map(str, fault["loc"]))
    where = f"{origin}/recipe.toml{_line(text, names[-1] if names else '')}"
    match fault["type"]:
        case "extra_forbidden":
            tables: dict[str, type[_Frozen]] = {"step": Step, "check": Check}
            known = ", ".join(tables.get(names[0], Manifest).model_fields)
            return f"{where}: the key {key} is not known. Known here: {known}."
        case "missing" if key == "step":
            return f"{where}: there is no step. Add a [[step]] table with an id."
        case "missing":
            return f"{where}: the key {key} is missing. Add it."
        case "string_pattern_mismatch":
            hint = _HINTS.get(names[-1], "letters, digits and . _ / : -")
            return f"{where}: {key} is {fault['input']!r}. Write {hint}."
        case _:
            return f"{where}: {key}: {fault['msg']}."


_HINTS: Final = {
    "name": "lower-case words joined by hyphens, as in ticket-triage",
    "id": "lower-case words joined by hyphens, as in first-draft",
    "version": "a semantic version, as in 1.0.0",
}


def _line(text: str, key: str, nth: int = 1) -> str:
    """Return where ``key`` stands for the nth time, to be put behind a file's name, or nothing."""
    found = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if re.match(rf"\s*(\[\[?\s*)?\"?{re.escape(key)}\"?\s*(=|\])", line):
            found += 1
            if found == nth:
                return f", line {number}"
    return ""
