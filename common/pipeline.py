"""The one table of topics and stages. Topic creation, the runner, docs and an architecture test read it.

Topic numbers are stored in outbox rows, so they are never reused for something else.
"""

from dataclasses import dataclass
from enum import IntEnum

from common.contracts.internal import Lane


class Topic(IntEnum):
    """Every topic, by the number stored in the outbox."""

    STEPS_INTERACTIVE = 0
    STEPS_STANDARD = 1
    STEPS_BULK = 2
    PROMPTS_INTERACTIVE = 3
    PROMPTS_STANDARD = 4
    PROMPTS_BULK = 5
    COMPLETIONS = 6
    VERDICTS = 7
    OUTPUTS = 8
    EVENTS = 9
    DEAD_LETTERS = 10
    MANIFEST = 11


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """How a topic is created. ``retention_ms`` None: never by time or size (consumed records are deleted)."""

    topic: Topic
    name: str
    partitions: int
    public: bool = False
    retention_ms: int | None = None
    compacted: bool = False


_DAY_MS = 24 * 60 * 60 * 1000

TOPICS: dict[Topic, TopicSpec] = {
    spec.topic: spec
    for spec in (
        TopicSpec(Topic.STEPS_INTERACTIVE, "steps.interactive", 4),
        TopicSpec(Topic.STEPS_STANDARD, "steps.standard", 4),
        TopicSpec(Topic.STEPS_BULK, "steps.bulk", 4),
        TopicSpec(Topic.PROMPTS_INTERACTIVE, "prompts.interactive", 4),
        TopicSpec(Topic.PROMPTS_STANDARD, "prompts.standard", 4),
        TopicSpec(Topic.PROMPTS_BULK, "prompts.bulk", 4),
        TopicSpec(Topic.COMPLETIONS, "completions", 4),
        TopicSpec(Topic.VERDICTS, "verdicts", 4),
        TopicSpec(Topic.OUTPUTS, "outputs", 4, public=True, retention_ms=7 * _DAY_MS),
        TopicSpec(Topic.EVENTS, "events", 4, public=True, retention_ms=7 * _DAY_MS),
        TopicSpec(Topic.DEAD_LETTERS, "dead-letters", 1, public=True, retention_ms=30 * _DAY_MS),
        TopicSpec(Topic.MANIFEST, "relay-manifest", 1, compacted=True),
    )
}

STEPS_OF: dict[Lane, Topic] = {
    Lane.INTERACTIVE: Topic.STEPS_INTERACTIVE,
    Lane.STANDARD: Topic.STEPS_STANDARD,
    Lane.BULK: Topic.STEPS_BULK,
}
PROMPTS_OF: dict[Lane, Topic] = {
    Lane.INTERACTIVE: Topic.PROMPTS_INTERACTIVE,
    Lane.STANDARD: Topic.PROMPTS_STANDARD,
    Lane.BULK: Topic.PROMPTS_BULK,
}


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage: what it reads, what it writes, its consumer group and its default health port."""

    name: str
    reads: tuple[Topic, ...]
    writes: tuple[Topic, ...]
    port: int


STAGES: dict[str, StageSpec] = {
    spec.name: spec
    for spec in (
        StageSpec("ingestion", (), (), 8000),
        StageSpec("prompt_engine", tuple(STEPS_OF.values()), (*PROMPTS_OF.values(), Topic.COMPLETIONS), 8001),
        StageSpec("model_layer", tuple(PROMPTS_OF.values()), (Topic.COMPLETIONS,), 8002),
        StageSpec("output_validation", (Topic.COMPLETIONS,), (*STEPS_OF.values(), Topic.VERDICTS), 8003),
        StageSpec("persistence", (Topic.VERDICTS,), (*STEPS_OF.values(), Topic.OUTPUTS, Topic.EVENTS), 8004),
        StageSpec("indexer", (Topic.OUTPUTS,), (), 8004),
    )
}


def topic_name(prefix: str, topic: Topic) -> str:
    """Return the full name under the installation's prefix."""
    return f"{prefix}.{TOPICS[topic].name}"


def group_name(prefix: str, stage: str) -> str:
    """Return a stage's consumer group under the installation's prefix."""
    return f"{prefix}.{stage}"
