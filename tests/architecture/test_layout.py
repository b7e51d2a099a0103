"""The repository's rooms are where the design says, and each service starts by its name."""

from pathlib import Path

import pytest

from common.pipeline import STAGES, TOPICS
from tests.architecture.source_tree import PRODUCT, ROOT, all_modules

FOLDERS = (*PRODUCT, "recipes", "tests", "bench", "docs", "docs/decisions", "persistence/postgres/migrations")
FILES = ("Makefile", "pyproject.toml", "uv.lock", ".ci/run", "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE")
SERVICES = {name for name in STAGES if name != "indexer"}
VAGUE = {"utils", "util", "helpers", "helper", "manager", "misc", "data", "tools"}


@pytest.mark.parametrize("name", FOLDERS)
def test_the_named_folder_exists(name: str) -> None:
    assert (ROOT / name).is_dir()


@pytest.mark.parametrize("name", FILES)
def test_the_named_file_exists(name: str) -> None:
    assert (ROOT / name).is_file()


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_each_service_is_a_package_that_can_be_run(service: str) -> None:
    assert (ROOT / service / "__main__.py").is_file()


def test_the_services_listen_on_ports_of_their_own() -> None:
    ports = {name: STAGES[name].port for name in SERVICES}

    assert sorted(ports.values()) == [8000, 8001, 8002, 8003, 8004]


def test_every_folder_of_modules_is_a_package() -> None:
    # Import contracts see packages only: a folder without __init__.py would escape them.
    migrations = ROOT / "persistence/postgres/migrations/versions"
    folders = {module.path.parent for module in all_modules()} - {migrations}

    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_work_flows_through_kafka_alone() -> None:
    """Each stage reads what others write, and every topic but the relay's own has a writer in the table."""
    written = {topic for stage in STAGES.values() for topic in stage.writes}
    read = {topic for stage in STAGES.values() for topic in stage.reads}

    assert read <= written
    assert {topic for topic, spec in TOPICS.items() if not spec.public} - read <= {
        topic for topic, spec in TOPICS.items() if spec.compacted
    }


@pytest.mark.parametrize("folder", [path.name for path in sorted((ROOT / "recipes").iterdir()) if path.is_dir()])
def test_a_recipe_is_one_folder(folder: str) -> None:
    recipe = ROOT / "recipes" / folder

    assert (recipe / "recipe.toml").is_file()
    assert list((recipe / "examples").glob("*.json"))


def test_no_module_has_a_vague_name() -> None:
    names = {Path(module.name) for module in all_modules()}

    assert [str(name) for name in names if name.stem in VAGUE or VAGUE & set(name.parts)] == []
