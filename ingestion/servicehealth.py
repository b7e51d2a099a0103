"""GET /api/v1/health: how each dependency of the system answers, and whether jobs are accepted."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from common.health import Health
from ingestion.answers import Answer

HEALTH_PATH: Final = "/api/v1/health"


class ServiceHealth:
    """Tells people and programs; load balancers ask /health/ready."""

    def __init__(self, health: Health, *, needed: frozenset[str], not_configured: Sequence[str] = ()) -> None:
        self._health = health
        self._needed = needed
        self._not_configured = tuple(not_configured)

    async def answer(self) -> Answer:
        """Return 200 while jobs are accepted, else 503."""
        unready = await self._health.unready()
        states = {state.name: state for state in await self._health.dependencies()}
        dependencies: dict[str, Any] = {
            name: {"state": "not-configured", "needed": False, "reason": None} for name in self._not_configured
        }
        for name in self._needed - states.keys():
            dependencies[name] = {"state": "down", "needed": True, "reason": unready}
        for name, state in states.items():
            dependencies[name] = {
                "state": "up" if state.up else "down",
                "needed": name in self._needed,
                "reason": state.reason or None,
            }
        status = "ok" if all(state.up for state in states.values()) else "degraded"
        if unready is not None:
            status = "unavailable"
        body = orjson.dumps({"status": status, "dependencies": dict(sorted(dependencies.items()))})
        return Answer(200 if unready is None else 503, body, ((b"cache-control", b"no-store"),))
