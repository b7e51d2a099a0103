"""Pages that say what the code says are held to it."""

import re

import typer.main

from common.pipeline import STAGES, TOPICS, TopicSpec
from common.settings import Settings
from headrace.cli import build_app
from tests.architecture.source_tree import ROOT

DAY_MS = 24 * 60 * 60 * 1000
ONLY_FOR_TESTS = {"failpoints"}


def page(name: str) -> str:
    return (ROOT / name).read_text()


def test_architecture_tells_the_stages_as_they_are() -> None:
    told = page("docs/architecture.md")
    rows = [
        f"| `{stage.name}` | {stage.port} | {', '.join(TOPICS[topic].name for topic in stage.reads)} |"
        f" {', '.join(TOPICS[topic].name for topic in stage.writes)} |"
        for stage in STAGES.values()
    ]

    assert [row for row in rows if re.sub(r"  +", " ", row) not in told] == []


def test_architecture_tells_the_topics_as_they_are() -> None:
    told = page("docs/architecture.md")
    rows = [
        f"| `{spec.name}` | {spec.partitions} |{' yes' if spec.public else ''} | {kept(spec)} |"
        for spec in TOPICS.values()
    ]

    assert [row for row in rows if row not in told] == []


def kept(spec: TopicSpec) -> str:
    if spec.compacted:
        return "newest by key"
    return "until consumed" if spec.retention_ms is None else f"{spec.retention_ms // DAY_MS} days"


def test_the_example_environment_names_every_setting() -> None:
    named = set(re.findall(r"^#?HEADRACE_([A-Z_]+)=", page(".env.example"), re.MULTILINE))
    settings = {name.upper() for name in Settings.model_fields.keys() - ONLY_FOR_TESTS}

    assert settings - named == set()


def test_the_example_environment_tells_the_defaults() -> None:
    told = dict(re.findall(r"^HEADRACE_([A-Z_]+)=(.*)$", page(".env.example"), re.MULTILINE))
    told.pop("DATABASE_URL")
    read = Settings.model_validate({"database_url": "postgresql://", **{k.lower(): v for k, v in told.items()}})

    assert read == Settings.model_validate({"database_url": "postgresql://"})


def test_some_page_shows_every_command() -> None:
    commands = typer.main.get_command(build_app()).commands  # type: ignore[attr-defined]  # it is a group
    told = page("README.md") + "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))

    assert [name for name in commands if name != "demo" and f"headrace {name}" not in told] == []


def test_every_link_between_pages_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    links = [
        (path, link.split("#")[0])
        for path in pages
        for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text())
        if "://" not in link and not link.startswith("#")
    ]

    assert [f"{path.name}: {link}" for path, link in links if not (path.parent / link).exists()] == []
