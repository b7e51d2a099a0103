"""The recipes a process knows: read from folders once, found by name, version or content hash."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from common.errors import RecipeError
from common.recipes.recipe import MANIFEST_FILE, Recipe, from_bundle

_IGNORED: Final = frozenset({"README.md", "__pycache__"})
_MAX_FILES: Final = 200


class RecipeCatalogue:
    """Immutable lookup over recipes."""

    def __init__(self, recipes: Iterable[Recipe]) -> None:
        """Raise RecipeError if two recipes share name and version but differ."""
        self._by_reference: dict[str, Recipe] = {}
        for recipe in recipes:
            known = self._by_reference.setdefault(recipe.reference, recipe)
            if known.content_hash != recipe.content_hash:
                raise RecipeError(
                    f"{recipe.reference} is there twice with different content: {known.origin} and "
                    f"{recipe.origin}. A version never changes: raise the version of one of them."
                )
        self._by_hash = {r.content_hash: r for r in self._by_reference.values()}
        self._newest: dict[str, Recipe] = {}
        for recipe in sorted(self._by_reference.values(), key=lambda r: _precedence(r.version)):
            self._newest[recipe.name] = recipe

    def get(self, name: str, version: str | None = None) -> Recipe | None:
        """Return that version, or the newest: a release goes before any pre-release."""
        return self._newest.get(name) if version is None else self._by_reference.get(f"{name}@{version}")

    def find(self, reference: str) -> Recipe | None:
        """Return the recipe of a reference as people write it: ``name`` or ``name@version``."""
        name, _, version = reference.partition("@")
        return self.get(name, version or None)

    def by_hash(self, content_hash: str) -> Recipe | None:
        """Return the recipe of that content."""
        return self._by_hash.get(content_hash)

    def list(self) -> Sequence[Recipe]:
        """Return all recipes by name, oldest version first."""
        return sorted(self._by_reference.values(), key=lambda r: (r.name, _precedence(r.version)))


def load_folder(path: Path) -> Recipe:
    """Return the recipe in a folder. Raises RecipeError naming folder, file, place and what to do."""
    if not path.is_dir():
        raise RecipeError(f"{path} is not a folder. A recipe is a folder with {MANIFEST_FILE} in it.")
    bundle: dict[str, str] = {}
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path)
        if file.is_dir() or any(part.startswith(".") or part in _IGNORED for part in relative.parts):
            continue
        if len(bundle) >= _MAX_FILES:
            raise RecipeError(f"{path} has more than {_MAX_FILES} files. A recipe is small.")
        bundle[relative.as_posix()] = _read(file)
    return from_bundle(bundle, str(path))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"{file} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from None
    except OSError as error:
        raise RecipeError(f"{file} cannot be read: {error.strerror}.") from None


def load_catalogue(paths: Sequence[Path]) -> RecipeCatalogue:
    """Return all recipes below ``paths``: each is a recipe's folder, or a folder of such folders."""
    recipes: list[Recipe] = []
    for path in paths:
        if (path / MANIFEST_FILE).is_file():
            recipes.append(load_folder(path))
        elif path.is_dir():
            folders = sorted(child for child in path.iterdir() if child.is_dir() and child.name[0] not in "._")
            recipes.extend(load_folder(folder) for folder in folders)
        else:
            raise RecipeError(f"{path} is not a folder. Name a folder of recipes.")
    return RecipeCatalogue(recipes)


@cache
def shipped_recipes() -> Path:
    """Return the folder of the recipes that ship: in an installed wheel, else in the repository."""
    base = Path(__file__).resolve().parents[2]
    for folder in (base / "headrace" / "_recipes", base / "recipes"):
        if folder.is_dir():
            return folder
    raise RecipeError(f"the shipped recipes are missing below {base}. Install the package again.")


def _precedence(version: str) -> tuple[bool, tuple[int, ...], tuple[tuple[bool, int, str], ...]]:
    """Return a sort key after semver.org, section 11, but with every release above every pre-release."""
    core, _, tail = version.partition("-")
    identifiers = tuple(
        (False, int(part), "") if re.fullmatch(r"\d+", part) else (True, 0, part) for part in tail.split(".") if part
    )
    return not tail, tuple(int(part) for part in core.split(".")), identifiers
