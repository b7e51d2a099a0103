"""One recipe: its manifest, schemas, templates and examples, checked as a whole before anybody uses it.

A bundle (file name to text) is all of a recipe; its content hash is taken over it, and the same bundle gives
an equal recipe anywhere.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from common.errors import RecipeError, SchemaError, StrictJsonError, TemplateError
from common.recipes.checks import CompiledCheck, compile_check
from common.recipes.manifest import Check, Manifest, Step, parse_manifest
from common.schema import CompiledSchema, Json, compile_schema, dump_json, parse_json
from common.templates import CompiledTemplate, compile_template

MANIFEST_FILE: Final = "recipe.toml"
INPUT_FILE: Final = "input.schema.json"
OUTPUT_FILE: Final = "output.schema.json"
PROMPT_FILE: Final = "prompt.j2"
SYSTEM_FILE: Final = "system.j2"
EXAMPLES_FOLDER: Final = "examples/"
TEMPLATE_VARIABLES: Final = frozenset({"input", "output_schema"})

_REQUIRED: Final = (MANIFEST_FILE, INPUT_FILE, PROMPT_FILE, OUTPUT_FILE)
_MAX_FILE_CHARS: Final = 512 << 10


@dataclass(frozen=True)
class Recipe:
    """An immutable recipe, ready for use; equal to another if the content is. Made by ``from_bundle``."""

    content_hash: str
    origin: str = field(compare=False)
    manifest: Manifest = field(compare=False)
    input: CompiledSchema = field(compare=False, repr=False)
    output: CompiledSchema = field(compare=False, repr=False)
    prompt: CompiledTemplate = field(compare=False, repr=False)
    system: CompiledTemplate | None = field(compare=False, repr=False)
    examples: Mapping[str, Json] = field(compare=False, repr=False)
    checks: tuple[CompiledCheck, ...] = field(compare=False, repr=False)
    files: Mapping[str, str] = field(compare=False, repr=False)

    @property
    def name(self) -> str:
        """The name, shared by all versions."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """The semantic version."""
        return self.manifest.version

    @property
    def description(self) -> str:
        """What it does, for people."""
        return self.manifest.description

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps in order; one for now."""
        return self.manifest.step

    @cached_property
    def reference(self) -> str:
        """The recipe as messages name it: name@version."""
        return f"{self.name}@{self.version}"

    @cached_property
    def output_schema_text(self) -> str:
        """The output schema as compact JSON, for prompts and providers."""
        return dump_json(self.output.schema).decode()

    @cached_property
    def system_text(self) -> str | None:
        """The system message where it is the same for every input; None where it must be rendered, or is not there."""
        if self.system is None or "input" in self.system.variables:
            return None
        return self.system.render({"output_schema": self.output_schema_text}).strip()

    def step(self, step_id: str) -> Step:
        """Return the step of that id. Raises RecipeError."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise RecipeError(f"{self.reference} has no step {step_id!r}; it has {self.steps[0].id!r}")

    def bundle(self) -> dict[str, str]:
        """Return all files, name to text; ``from_bundle`` makes an equal recipe of it."""
        return dict(self.files)


def from_bundle(bundle: Mapping[str, str], origin: str = "bundle") -> Recipe:
    """Return the recipe that ``bundle`` holds. ``origin`` is what errors call it.

    Raises RecipeError naming the file, the place and what to do.
    """
    files = {name: bundle[name] for name in sorted(bundle)}
    _check_names(files, origin)
    manifest = parse_manifest(files[MANIFEST_FILE], origin)
    recipe = Recipe(
        content_hash=hash_bundle(files),
        origin=origin,
        manifest=manifest,
        input=_schema(files, INPUT_FILE, origin),
        output=_schema(files, OUTPUT_FILE, origin),
        prompt=_template(files, PROMPT_FILE, manifest, origin),
        system=_template(files, SYSTEM_FILE, manifest, origin) if SYSTEM_FILE in files else None,
        examples={name: _json(files, name, origin) for name in files if name.startswith(EXAMPLES_FOLDER)},
        checks=tuple(_compiled_check(check, manifest, origin) for check in manifest.check),
        files=files,
    )
    _check_examples(recipe, origin)
    return recipe


def hash_bundle(bundle: Mapping[str, str]) -> str:
    """Return the content hash: SHA-256 over the files as one JSON object with sorted names."""
    canonical = json.dumps(dict(bundle), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _check_names(files: Mapping[str, str], origin: str) -> None:
    for name in _REQUIRED:
        if name not in files:
            raise RecipeError(f"{origin} has no {name}. Add it; a recipe needs {', '.join(_REQUIRED)}.")
    for name, text in files.items():
        example = name.removeprefix(EXAMPLES_FOLDER)
        is_example = name.startswith(EXAMPLES_FOLDER) and example.endswith(".json") and "/" not in example
        if name not in _REQUIRED and name != SYSTEM_FILE and not is_example:
            raise RecipeError(
                f"{origin}/{name} is no part of a recipe. Remove or rename it; a recipe has "
                f"{', '.join((*_REQUIRED, SYSTEM_FILE))}, README.md and {EXAMPLES_FOLDER}*.json."
            )
        if len(text) > _MAX_FILE_CHARS:
            raise RecipeError(f"{origin}/{name} is longer than {_MAX_FILE_CHARS} characters. Shorten it.")


def _json(files: Mapping[str, str], name: str, origin: str) -> Json:
    try:
        return parse_json(files[name])
    except StrictJsonError as error:
        raise RecipeError(f"{origin}/{name}, {error}") from None


def _schema(files: Mapping[str, str], name: str, origin: str) -> CompiledSchema:
    schema = _json(files, name, origin)
    if not isinstance(schema, dict):
        raise RecipeError(f"{origin}/{name} must be a JSON object, as every schema of a recipe.")
    try:
        return compile_schema(schema)
    except SchemaError as error:
        faults = "\n".join(f"{origin}/{name}, at {f.pointer or 'its root'}: {f.detail}" for f in error.faults)
        raise RecipeError(faults) from None


def _template(files: Mapping[str, str], name: str, manifest: Manifest, origin: str) -> CompiledTemplate:
    try:
        # A rendering error reaches the job's owner, so it names the recipe and not where it was read from.
        template = compile_template(files[name], f"{manifest.name}@{manifest.version}/{name}")
    except TemplateError as error:
        raise RecipeError(f"{origin}: {error}") from None
    unknown = sorted(template.variables - TEMPLATE_VARIABLES)
    if unknown:
        raise RecipeError(
            f"{origin}/{name} reads {', '.join(unknown)}. A template knows "
            f"{' and '.join(sorted(TEMPLATE_VARIABLES))}; write a member of the input as input.{unknown[0]}."
        )
    return template


def _compiled_check(check: Check, manifest: Manifest, origin: str) -> CompiledCheck:
    try:
        return compile_check(check, f"{manifest.name}@{manifest.version}, check {check.name}")
    except TemplateError as error:
        raise RecipeError(f"{origin}/{MANIFEST_FILE}: {error}") from None


def _check_examples(recipe: Recipe, origin: str) -> None:
    for name, example in recipe.examples.items():
        violations = recipe.input.check(example)
        if violations:
            first = violations[0]
            place = first.pointer or "its root"
            fault = f"at {place}: {first.message}"
            raise RecipeError(f"{origin}/{name} does not satisfy {INPUT_FILE}: {fault}. Mend one of the two.")
