"""Runs ``check``, and the reference beside it, over the official JSON Schema suite: the required tests of each draft.

The suite comes with the source distribution of the reference, ``jsonschema``, in the version and with the digest that
uv.lock names; it is fetched once, with pip, and kept beside the tools. Formats are annotations there, so they are not
checked.
"""

import json
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import specification_with
from rich.console import Console
from rich.table import Table

from bench.system import REPOSITORY
from common.errors import SchemaError
from common.schema import Json, check

DRAFTS: Final[Mapping[str, str]] = {
    "draft4": "http://json-schema.org/draft-04/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
_REMOTES_AT: Final = "http://localhost:1234/"
_KEPT_IN: Final = REPOSITORY / ".tools" / "json-schema-suite"
_UV: Final = (REPOSITORY / ".tools/bin/uv", REPOSITORY / ".tools/lib/bin/uv")


class SuiteError(Exception):
    """The suite could not be fetched."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test: an instance, the schema it is checked against, and whether it is valid."""

    name: str
    schema: Json
    instance: Json
    is_valid: bool


@dataclass(slots=True)
class Tally:
    """How many tests of a draft there are, which of them ``check`` fails, and which the reference."""

    tests: int = 0
    ours_fails: list[str] = field(default_factory=list)
    reference_fails: list[str] = field(default_factory=list)


class Suite:
    """The suite in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        remotes = folder / "remotes"
        self.remotes: dict[str, Json] = {
            _REMOTES_AT + path.relative_to(remotes).as_posix(): json.loads(path.read_bytes())
            for path in sorted(remotes.rglob("*.json"))
        }

    def cases(self, draft: str) -> Iterator[Case]:
        """Yield the required tests of ``draft``."""
        for path in sorted((self._folder / "tests" / draft).glob("*.json")):
            for group in json.loads(path.read_bytes()):
                for test in group["tests"]:
                    name = f"{path.stem}: {group['description']}: {test['description']}"
                    yield Case(name, group["schema"], test["data"], test["valid"])

    def tally(self, draft: str) -> Tally:
        """Return how ``check`` and the reference do on ``draft``."""
        dialect = DRAFTS[draft]
        reference = validator_for({"$schema": dialect})
        resource = specification_with(dialect).create_resource
        # Only what is referred to: others hold schemas that older drafts do not know.
        registry: Registry[Any] = Registry(retrieve=lambda uri: resource(self.remotes[uri]))  # type: ignore[call-arg]  # attrs
        found = Tally()
        for case in self.cases(draft):
            found.tests += 1
            if not self._is_right(case, dialect):
                found.ours_fails.append(case.name)
            if not _is_reference_right(case, reference, registry):
                found.reference_fails.append(case.name)
        return found

    def _is_right(self, case: Case, dialect: str) -> bool:
        schema = case.schema
        if isinstance(schema, dict):
            schema = {"$schema": dialect, **schema}
        try:
            return (check(case.instance, schema, formats=False, resources=self.remotes) == []) == case.is_valid
        except SchemaError:
            return False


def _is_reference_right(case: Case, reference: type[Validator], registry: "Registry[Any]") -> bool:
    try:
        return bool(reference(case.schema, registry=registry).is_valid(case.instance)) == case.is_valid
    except Unresolvable:
        return False


def fetched() -> Suite:
    """Return the suite, fetched if it is not kept yet. Raises SuiteError."""
    locked = next(
        each
        for each in tomllib.loads((REPOSITORY / "uv.lock").read_text(encoding="utf-8"))["package"]
        if each["name"] == "jsonschema"
    )
    name = f"jsonschema-{locked['version']}"
    folder = _KEPT_IN / name / "json"
    if not folder.is_dir():
        with tempfile.TemporaryDirectory() as place:
            archive = _download(name, locked, Path(place))
            _KEPT_IN.mkdir(parents=True, exist_ok=True)
            with tarfile.open(archive) as packed:
                # As pip saw, the digest is the one that is locked: nothing else can be in it.
                packed.extractall(_KEPT_IN, members=[each for each in packed if each.isfile()])
    return Suite(folder)


def _download(name: str, locked: Mapping[str, Any], place: Path) -> Path:
    uv = next((str(each) for each in _UV if each.is_file()), None) or shutil.which("uv")
    if uv is None:
        raise SuiteError("uv was not found; run make setup")
    wanted = place / "wanted.txt"
    wanted.write_text(f"jsonschema=={locked['version']} --hash={locked['sdist']['hash']}\n", encoding="utf-8")
    command = [uv, "tool", "run", "--quiet", "pip", "download", "--quiet", "--no-deps", "--no-binary", "jsonschema"]
    ended = subprocess.run(
        [*command, "--require-hashes", "--requirement", str(wanted), "--dest", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    archive = place / f"{name}.tar.gz"
    if not archive.is_file():
        raise SuiteError(f"{name}.tar.gz, which holds the JSON Schema suite, was not fetched: {ended.stderr[-500:]}")
    return archive


def official(console: Console) -> None:
    """Print how many required tests of the official suite ``check`` passes, and the reference."""
    try:
        suite = fetched()
    except SuiteError as error:
        console.print(f"The official JSON Schema suite was not run: {error}", markup=False)
        return
    table = Table("draft", "tests", "check passes", "jsonschema passes", title="Required tests of the official suite")
    for draft in DRAFTS:
        found = suite.tally(draft)
        passed = (found.tests - len(fails) for fails in (found.ours_fails, found.reference_fails))
        table.add_row(draft, str(found.tests), *map(str, passed))
    console.print(table)
