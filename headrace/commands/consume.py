"""``headrace consume``: reads a public Kafka topic as another team would, with its CloudEvents headers."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from common.kafka.public_reader import PublicRecord, public_reader
from common.pipeline import TOPICS, Topic, topic_name
from common.settings import Settings
from headrace.connection import find_kafka

FETCH_S = 0.5


class PublicTopic(StrEnum):
    OUTPUTS = TOPICS[Topic.OUTPUTS].name
    EVENTS = TOPICS[Topic.EVENTS].name
    DEAD_LETTERS = TOPICS[Topic.DEAD_LETTERS].name


def register(app: typer.Typer) -> None:
    """Adds this module's command."""
    app.command()(consume)


def consume(
    topic: Annotated[PublicTopic, typer.Argument(help="A public topic.")],
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="All that is kept, not only what comes from now on.")
    ] = False,
    most: Annotated[int | None, typer.Option("--max", "-n", min=1, help="End after so many records.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, headers included.")] = False,
) -> None:
    """Print the records of a public topic as they are committed; Ctrl-C or --max ends.

    No consumer group: nothing is acknowledged, and everybody who asks sees every record.
    """
    name = topic_name(installation(), Topic[topic.name])
    with suppress(KeyboardInterrupt):
        asyncio.run(_print(find_kafka(os.environ), name, most, from_beginning=from_beginning, as_json=as_json))


def installation() -> str:
    """Return what the topics' names begin with."""
    return os.environ.get("HEADRACE_INSTALLATION") or str(Settings.model_fields["installation"].default)


async def _print(bootstrap: str, name: str, most: int | None, *, from_beginning: bool, as_json: bool) -> None:
    left = most
    console = Console()
    async with public_reader(bootstrap, name, from_beginning=from_beginning) as reader:
        while left is None or left > 0:
            records = await reader.fetch(timeout_s=FETCH_S, max_records=left)
            for record in records:
                if as_json:
                    sys.stdout.write(json.dumps(as_object(record), ensure_ascii=False) + "\n")
                else:
                    console.print(record_text(record), soft_wrap=True)
            sys.stdout.flush()
            if left is not None:
                left -= len(records)


def as_object(record: PublicRecord) -> dict[str, Any]:
    """A record for programs."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key,
        "headers": dict(record.headers),
        "value": value_of(record),
    }


def value_of(record: PublicRecord) -> Any:
    """Its JSON, or its text where it is none."""
    try:
        return json.loads(record.value)
    except ValueError:
        return record.value.decode(errors="replace")


def record_text(record: PublicRecord, indent: int | None = None) -> Text:
    """A record for people: where it is, its headers, its value (with ``indent`` over several lines)."""
    text = Text(f"{record.topic} [{record.partition}] @{record.offset}", style="bold")
    for part in _headers(record.headers):
        text.append_text(part)
    value = json.dumps(value_of(record), ensure_ascii=False, indent=indent)
    text.append("\n  " + value.replace("\n", "\n  "), style="not bold")
    return text


def _headers(headers: Mapping[str, str]) -> Iterator[Text]:
    for name, value in headers.items():
        yield Text.assemble("\n  ", (f"{name}: ", "dim not bold"), (value, "not bold"))
