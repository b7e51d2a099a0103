"""docs/own-servers.md makes the topics that the program would make; docs/operations.md tells the ports."""

import re
import subprocess
from dataclasses import dataclass

import pytest

from common.kafka.admin import MAX_MESSAGE_BYTES
from common.pipeline import TOPICS, TopicSpec
from headrace.local.ports import DEFAULT_PORTS
from persistence.postgres.keys import SCOPES
from persistence.service import PARTS
from tests.architecture.source_tree import ROOT

PAGE = (ROOT / "docs/own-servers.md").read_text()
# Instead of Kafka's tool: say what it was asked for, one call a line.
TOLD = 'kafka-topics.sh() { echo "$*"; }\n'
SERVERS = {"HEADRACE_KAFKA_BOOTSTRAP": "broker:9092", "HEADRACE_INSTALLATION": "mine"}


@dataclass(frozen=True)
class Asked:
    name: str
    partitions: int
    replicas: int
    config: dict[str, str]


def asked(line: str) -> Asked:
    options = re.findall(r"--([a-z-]+) ([^- ]\S*)", line)
    values = dict(options)
    return Asked(
        values["topic"],
        int(values["partitions"]),
        int(values["replication-factor"]),
        dict(value.split("=") for name, value in options if name == "config"),
    )


@pytest.fixture(scope="module")
def made() -> dict[str, Asked]:
    """What the page's block asks Kafka to make, by name."""
    (block,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    said = subprocess.run(
        ["/bin/bash", "-euc", TOLD + block], env=SERVERS, check=True, capture_output=True, text=True
    ).stdout
    return {each.name: each for each in map(asked, said.splitlines())}


def test_the_block_makes_every_topic_with_replicas_and_no_other(made: dict[str, Asked]) -> None:
    assert made.keys() == {f"mine.{spec.name}" for spec in TOPICS.values()}
    assert {(each.replicas, each.config["min.insync.replicas"]) for each in made.values()} == {(3, "2")}


@pytest.mark.parametrize("spec", TOPICS.values(), ids=lambda spec: spec.name)
def test_a_topic_is_made_as_the_program_makes_it(spec: TopicSpec, made: dict[str, Asked]) -> None:
    asked_for = made[f"mine.{spec.name}"]

    assert asked_for.partitions == spec.partitions
    assert asked_for.config["max.message.bytes"] == str(MAX_MESSAGE_BYTES)
    if spec.compacted:
        assert asked_for.config["cleanup.policy"] == "compact"
    else:
        assert asked_for.config["retention.ms"] == str(spec.retention_ms or -1)
        assert asked_for.config["retention.bytes"] == "-1"


def test_the_page_tells_every_part_and_every_scope() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))

    assert rows >= {*PARTS, *SCOPES}


def test_the_operations_page_tells_every_port() -> None:
    told = dict(re.findall(r"`([a-z_-]+)` \| (\d+) \|", (ROOT / "docs/operations.md").read_text()))

    assert {name: str(port) for name, port in DEFAULT_PORTS.items()}.items() <= told.items()
