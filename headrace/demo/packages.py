"""The demo's input: what the Python distributions installed on this machine say of themselves. Real, messy text."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from typing import Final

SUMMARY_CHARACTERS: Final = 1_000
DESCRIPTION_CHARACTERS: Final = 1_500
RECIPE: Final = "package-card"


@dataclass(frozen=True, slots=True)
class Package:
    """Metadata of one distribution, cut to what the recipe's input schema takes."""

    name: str
    version: str
    summary: str
    description: str

    def as_input(self) -> dict[str, str]:
        """The input of a job; what is empty is absent."""
        fields = {
            "name": self.name,
            "version": self.version,
            "summary": self.summary,
            "description": self.description,
        }
        return {name: text for name, text in fields.items() if text}


def installed_packages() -> list[Package]:
    """Every distribution on this interpreter's path, once, by name."""
    return unique(read_package(found) for found in distributions())


def unique(packages: Iterable[Package]) -> list[Package]:
    """By normalised name (PEP 503); of several, the first found, as an import would."""
    found: dict[str, Package] = {}
    for package in packages:
        if package.name:
            found.setdefault(re.sub(r"[-_.]+", "-", package.name).lower(), package)
    return [package for _, package in sorted(found.items())]


def read_package(distribution: Distribution) -> Package:
    """One distribution's metadata; files of broken installations give an empty name."""
    fields = distribution.metadata.json if distribution.metadata is not None else {}

    def text(name: str, longest: int) -> str:
        value = fields.get(name)
        return clean(value)[:longest] if isinstance(value, str) else ""

    return Package(
        name=text("name", 200),
        version=text("version", 100),
        summary=text("summary", SUMMARY_CHARACTERS),
        description=text("description", DESCRIPTION_CHARACTERS),
    )


def clean(text: str) -> str:
    """Without what JSON text in UTF-8 cannot hold (undecodable bytes) or the API refuses (NUL)."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "").strip()


def spread(packages: list[Package], count: int) -> list[Package]:
    """``count`` of them, evenly over the alphabet: the same machine gives the same choice."""
    if count >= len(packages):
        return list(packages)
    return [packages[index * len(packages) // count] for index in range(count)]
