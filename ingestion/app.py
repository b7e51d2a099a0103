"""The ASGI application: a door in front of FastAPI.

The door names requests, sends the two submit routes and health straight to their handlers, counts what was
answered, and turns everything that went wrong into a problem document. FastAPI has the rest.
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from common.clock import Clock, monotonic_clock
from common.errors import DatabaseUnavailable, Fault, RequestError
from common.health import HealthApp, Message, Receive, Scope, Send
from ingestion.answers import Answer, RequestIds, send_answer, send_problem
from ingestion.budget_routes import router as budget_router
from ingestion.control_routes import router as control_router
from ingestion.docs import add_docs
from ingestion.httpmetrics import HttpMetrics
from ingestion.openapi import build_document
from ingestion.operator_routes import router as operator_router
from ingestion.parameters import refuse_nul
from ingestion.problems import document, parameter_fault, raw_headers, refuse
from ingestion.routes import router
from ingestion.servicehealth import HEALTH_PATH, ServiceHealth
from ingestion.services import Opening
from ingestion.submit import BATCHES, JOBS

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ALLOWED: Final[Mapping[str, tuple[str, ...]]] = {
    # Those of the routes that FastAPI does not know, or knows in part.
    JOBS: ("GET", "POST"),
    BATCHES: ("POST",),
    **{
        path: ("GET", "HEAD")
        for name in ("/health/live", "/health/ready", "/metrics")
        for path in (name, "/api/v1" + name)
    },
    HEALTH_PATH: ("GET", "HEAD"),
}
_log = structlog.get_logger(__name__)

Handler = Callable[[Scope, Receive], Awaitable[Answer | None]]
ExceptionHandler = Callable[[Request, Exception], Coroutine[Any, Any, Response]]


class Door:
    """The outermost application."""

    def __init__(
        self,
        *,
        opening: Opening,
        fastapi: FastAPI,
        health_app: HealthApp,
        service_health: ServiceHealth,
        metrics: HttpMetrics,
        clock: Clock = monotonic_clock,
    ) -> None:
        self._opening = opening
        self._fastapi = fastapi
        self._health_app = health_app
        self._service_health = service_health
        self._metrics = metrics
        self._clock = clock
        self._names = RequestIds()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; nothing else is spoken here."""
        if scope["type"] != "http":
            return
        started = self._clock()
        watched = _WatchedSend(send)
        request_id = self._names.of(scope)
        try:
            route = await self._serve(scope, receive, watched, request_id)
        except RequestError as error:
            route = _route_of(scope)
            self._metrics.refused(error.code)
            await send_problem(watched, error, request_id)
        except Exception as error:  # noqa: BLE001 - isolation point: one request's bug must not show or spread
            route = _route_of(scope)
            _log_unforeseen(error, request_id=request_id, route=route)
            if not watched.status:
                await send_problem(watched, _unforeseen(error), request_id)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.answered(method, route, watched.status, self._clock() - started)

    async def _serve(self, scope: Scope, receive: Receive, send: "_WatchedSend", request_id: str) -> str:
        path: str = scope["path"]
        allowed = _ALLOWED.get(path)
        if allowed is not None and scope["method"] not in allowed:
            headers = {"allow": ", ".join(allowed)}
            raise refuse("method_not_allowed", f"Use {' or '.join(allowed)} here.", headers=headers)
        if scope["method"] == "POST" and path in (JOBS, BATCHES):
            submit = self._opening.services.submit
            handler: Handler = submit.post_job if path == JOBS else submit.post_batch
            answer = await handler(scope, receive)
            if answer is not None:
                await send_answer(send, answer, request_id)
            return path
        if path == HEALTH_PATH:
            await send_answer(send, await self._service_health.answer(), request_id)
            return path
        send.request_id = request_id.encode()
        if await self._health_app.answer(scope, send):
            return path
        scope.setdefault("state", {})["request_id"] = request_id
        await self._fastapi(scope, receive, send)
        return _route_of(scope)


_SORRY: Final = "This is our mistake. Tell us the request_id; our log has the rest."


class _WatchedSend:
    """Notes the status sent, and adds the request's name where the answer lacks it."""

    __slots__ = ("_send", "request_id", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.request_id: bytes | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.request_id is not None:
                headers = message.get("headers", ())
                if not any(name == b"x-request-id" for name, _ in headers):
                    message = {**message, "headers": [*headers, (b"x-request-id", self.request_id)]}
        await self._send(message)


def build_fastapi(opening: Opening, metrics: HttpMetrics, version: str) -> FastAPI:
    """Return FastAPI with the routes, the docs and the problem handlers."""
    app = FastAPI(
        title="Headrace",
        version=version,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(refuse_nul)],
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.opening = opening
    app.include_router(router)
    app.include_router(operator_router)
    app.include_router(budget_router)
    app.include_router(control_router)
    add_docs(app, build_document(app, version))

    def told_by(problem_of: Callable[[Any], RequestError]) -> ExceptionHandler:
        async def answer(request: Request, error: Exception) -> Response:
            problem = problem_of(error)
            metrics.refused(problem.code)
            request_id: str = request.scope["state"]["request_id"]
            response = Response(document(problem, request_id), problem.status)
            response.raw_headers.extend(raw_headers(problem, request_id))
            return response

        return answer

    # Starlette raises the bug again after this answer, and the door logs it.
    app.add_exception_handler(Exception, told_by(_unforeseen))
    app.add_exception_handler(RequestError, told_by(lambda error: error))
    app.add_exception_handler(DatabaseUnavailable, told_by(_no_database))
    app.add_exception_handler(RequestValidationError, told_by(_invalid))
    app.add_exception_handler(HTTPException, told_by(_unrouted))
    return app


def _unforeseen(error: Exception) -> RequestError:
    if _refused_state(error) is not None:
        return refuse("invalid_parameter", "A value of this request is none that can be stored or looked for.")
    return refuse("internal_error", _SORRY)


def _log_unforeseen(error: Exception, **request: str) -> None:
    state = _refused_state(error)
    if state is None:
        _log.error("request.failed", **request, exc_info=error)
    else:
        _log.error("request.value_refused", **request, sqlstate=state, exc_info=error)


def _refused_state(error: Exception) -> str | None:
    """Return the SQLSTATE of class 22, a value that Postgres does not take: a check is then missing at the door."""
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) and state.startswith("22") else None


def _no_database(_: DatabaseUnavailable) -> RequestError:
    return refuse("storage_unavailable", "The database is not answering. Try again.")


def _invalid(error: RequestValidationError) -> RequestError:
    faults: list[Fault] = []
    for found in error.errors():
        place, *names = found["loc"]
        name = str(names[0]) if names else str(place)
        faults.append(parameter_fault(name, found["msg"]))
    return refuse("invalid_parameter", "A parameter cannot be used.", faults=faults)


def _unrouted(error: HTTPException) -> RequestError:
    headers = dict(error.headers or {})
    if error.status_code == 405:
        return refuse("method_not_allowed", "See /docs for what is allowed here.", headers=headers)
    return refuse("not_found", "There is nothing at this address. See /docs.", headers=headers)


def _route_of(scope: Scope) -> str:
    path = scope["path"]
    if path in (JOBS, BATCHES, HEALTH_PATH):
        return str(path)
    template: Any = getattr(scope.get("route"), "path", None)
    return template if isinstance(template, str) else "unmatched"
