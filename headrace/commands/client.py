"""A small client of the REST API for the command line: one request at a time, JSON both ways, no retries.

A problem document becomes a RequestError with its faults, silence a StackError that says where to look.
"""

import http.client
import json
import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

from common.errors import Fault, RequestError, StackError
from headrace.connection import Connection, find_connection

ANSWER_BOUND_S: Final = 30.0
LONGEST_WAIT_S: Final = 50
"""Of one long poll; the API allows 60."""
JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
MOST_FAULTS_TOLD: Final = 5
MOST_ANSWERS: Final = 100
"""That one page is put together from: two million jobs looked at."""

TERMINAL: Final = frozenset({"succeeded", "failed", "cancelled", "expired"})


class Api:
    """One installation's REST API, with one key."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._where = urlsplit(connection.url)
        if self._where.scheme not in {"http", "https"} or not self._where.hostname:
            raise StackError(f"{connection.url!r} is no address of an API.", "HEADRACE_URL=http://host:port")

    @property
    def url(self) -> str:
        return self._connection.url

    def get(self, path: str, query: Mapping[str, object] | None = None, *, wait_s: float = 0) -> Any:
        """The answer's body. ``path`` begins after /api/v1. Raises RequestError, StackError."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        return self._ask("GET", f"{path}?{urlencode(given)}" if given else path, None, {}, wait_s)

    def post(self, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Any:
        """The same for POST; ``body`` is JSON unless a content type is given."""
        return self._ask("POST", path, body, {"content-type": JSON, **(headers or {})}, 0)

    def put(self, path: str, body: bytes) -> Any:
        """The same for PUT."""
        return self._ask("PUT", path, body, {"content-type": JSON}, 0)

    def delete(self, path: str, query: Mapping[str, object]) -> Any:
        """The same for DELETE."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("DELETE", f"{path}?{urlencode(given)}", None, {}, 0)

    def job(self, job_id: str, *, wait_s: int = 0) -> dict[str, Any]:
        """One job; with ``wait_s`` as soon as it has ended, or as it is by then."""
        found: dict[str, Any] = self.get(f"/jobs/{quote(job_id, safe='')}", {"wait": wait_s or None}, wait_s=wait_s)
        return found

    def jobs(self, query: Mapping[str, object], limit: int) -> dict[str, Any]:
        """A page of jobs, out of as many answers as it takes, at most ``MOST_ANSWERS``; filtered ones may hold few."""
        found: list[dict[str, Any]] = []
        cursor: str | None = None
        for _ in range(MOST_ANSWERS):
            page = self.get("/jobs", {**query, "limit": limit - len(found), "cursor": cursor})
            found += page["jobs"]
            cursor = page["next_cursor"]
            if cursor is None or len(found) >= limit:
                break
        return {"jobs": found, "next_cursor": cursor}

    def attempts(self, job_id: str) -> list[dict[str, Any]]:
        """The job's rows of the ledger."""
        found: list[dict[str, Any]] = self.get(f"/jobs/{quote(job_id, safe='')}/attempts")["attempts"]
        return found

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], wait_s: float) -> Any:
        kind = http.client.HTTPSConnection if self._where.scheme == "https" else http.client.HTTPConnection
        line = kind(self._where.hostname or "", self._where.port, timeout=wait_s + ANSWER_BOUND_S)
        sent = {"authorization": f"Bearer {self._connection.api_key}", "accept": JSON, **headers}
        try:
            line.request(method, f"{self._where.path}/api/v1{path}", body, sent)
            answer = line.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise StackError(
                f"Headrace does not answer at {self.url}: {error or type(error).__name__}.",
                "See headrace status, or set HEADRACE_URL.",
            ) from error
        except ValueError as error:
            raise StackError("The API key cannot be sent in a header.", "Look at HEADRACE_API_KEY.") from error
        finally:
            line.close()
        return read_answer(answer.status, content)


def connect() -> Api:
    """The API that the environment names, else that of the stack on this machine. Raises StackError."""
    return Api(find_connection(os.environ))


def read_answer(status: int, content: bytes) -> Any:
    """The JSON of an answer. Raises RequestError for a problem. Pure."""
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if status < 400 and body is not None:
        return body
    problem = body if isinstance(body, dict) else {}
    detail = str(problem.get("detail") or f"The answer is no JSON of this API (status {status}).")
    faults = [_fault(told) for told in problem.get("errors", ()) if isinstance(told, dict)]
    raise RequestError(status, str(problem.get("code", "unreadable_answer")), detail, faults=faults)


def _fault(told: Mapping[str, Any]) -> Fault:
    place = _as_typed(str(told["parameter"])) if "parameter" in told else str(told.get("pointer", ""))
    if "line" in told:
        place = f"line {told['line']} {place}"
    elif "index" in told:
        place = f"item {told['index']} {place}"
    return Fault(place.strip(), str(told.get("detail", "")))


def _as_typed(parameter: str) -> str:
    """What a person writes for a parameter of the API: ids and keys are arguments here, the others options."""
    if parameter == "key":
        return "KEY"
    return "ID" if parameter.endswith("_id") else f"--{parameter}"


def problem_words(error: RequestError) -> str:
    """One or two lines: what the API said, and where the faults are."""
    lines = [f"{error.detail} ({error.code})"]
    told = [f"{fault.pointer or '(whole)'} {fault.detail}" for fault in error.faults[:MOST_FAULTS_TOLD]]
    if len(error.faults) > len(told):
        told.append(f"and {len(error.faults) - len(told)} more")
    if told:
        lines.append("; ".join(told))
    return "\n".join(lines)
