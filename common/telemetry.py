"""Logs and metrics, the same in every process: JSON lines on stderr, and one registry made at start.

Promises: neither payloads nor secrets reach a log line. Known names are withheld, an exception is told by its
type and its frames, and its text only where this code base or the operating system wrote it.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import Any, Final, TextIO

import orjson
import structlog
from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from common.errors import HeadraceError

METRIC_PREFIX: Final = "headrace_"
"""Every metric begins with it and ends in its unit. Labels are closed sets: never a tenant, job or key id."""

_WITHHELD: Final = frozenset(
    {
        "answer",
        "api_key",
        "authorization",
        "body",
        "completion",
        "content",
        "database_url",
        "input",
        "key",
        "messages",
        "output",
        "password",
        "payload",
        "prompt",
        "raw",
        "secret",
        "text",
        "token",
        "value",
    }
)
_TRUSTED_TEXTS: Final = (HeadraceError, OSError, TimeoutError)
_MOST_FRAMES: Final = 30
_LONGEST_TEXT: Final = 1_000
_QUIET: Final = ("aiokafka", "asyncio", "elastic_transport", "elasticsearch", "httpx", "uvicorn", "alembic")

Event = MutableMapping[str, Any]
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


def configure_logging(service: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's records to ``stream`` (stderr), one JSON object a line."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _with_service(service),
        _tell_exception,
        _withhold,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_dump),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def new_registry(service: str, version: str) -> CollectorRegistry:
    """Return this process's registry, with what it costs in CPU, memory and garbage collection.

    Metrics are made by their owners' constructors, which take the registry; nothing registers at import.
    """
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series a counter, which nobody reads
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    Info(METRIC_PREFIX + "build", "Which service and version this process is.", registry=registry).info(
        {"service": service, "version": version}
    )
    return registry


def _with_service(service: str) -> structlog.typing.Processor:
    def add(_: Any, __: str, event: Event) -> Event:
        event["service"] = service
        return event

    return add


def _withhold(_: Any, __: str, event: Event) -> Mapping[str, Any]:
    for name in _WITHHELD & event.keys():
        event[name] = "[withheld]"
    return event


def _tell_exception(_: Any, __: str, event: Event) -> Event:
    info = event.pop("exc_info", None)
    error = info if isinstance(info, BaseException) else None
    if info is True:
        error = sys.exc_info()[1]
    elif isinstance(info, tuple):
        error = info[1]
    if error is not None:
        event["exception"] = _told(error)
    return event


def _told(error: BaseException, depth: int = 0) -> dict[str, Any]:
    told: dict[str, Any] = {"type": type(error).__qualname__, "frames": _frames(error)}
    if isinstance(error, _TRUSTED_TEXTS):
        told["text"] = str(error)[:_LONGEST_TEXT]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and depth < 5:
        told["cause"] = _told(cause, depth + 1)
    if isinstance(error, BaseExceptionGroup) and depth < 5:
        told["group"] = [_told(member, depth + 1) for member in error.exceptions[:5]]
    return told


def _frames(error: BaseException) -> list[str]:
    frames = []
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        frames.append(f"{code.co_filename}:{step.tb_lineno} {code.co_qualname}")
        step = step.tb_next
    return frames[-_MOST_FRAMES:]


def _dump(event: Event, **_: Any) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode(errors="replace")
