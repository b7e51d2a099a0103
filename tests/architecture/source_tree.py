"""What the architecture tests look at: every Python module of the repository, parsed once."""

import ast
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = (
    "common",
    "headrace",
    "ingestion",
    "model_layer",
    "output_validation",
    "persistence",
    "prompt_engine",
)
EVERYTHING = (*PRODUCT, "bench", "tests")


@dataclass(frozen=True)
class Module:
    path: Path
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()


@cache
def modules(folder: str) -> tuple[Module, ...]:
    found = sorted((ROOT / folder).rglob("*.py"))
    texts = [path.read_text() for path in found]
    return tuple(Module(path, text, ast.parse(text)) for path, text in zip(found, texts, strict=True))


def all_modules(*folders: str) -> Iterator[Module]:
    for folder in folders or PRODUCT:
        yield from modules(folder)


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imported_packages(module: Module) -> set[str]:
    """Top-level names of everything a module imports, wherever the import stands."""
    found: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


@cache
def pyproject() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())
