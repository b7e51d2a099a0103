"""What the API serves from: bound by the composition root once Postgres answers, refused until then."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from common.control_ports import Budgets, JobControl, Usage
from common.errors import RequestError
from common.operator_ports import DeadLetters, Errors
from common.ports import JobStore
from common.recipes import RecipeCatalogue
from common.search_port import Search
from ingestion.keys import KeyRing
from ingestion.longpoll import LongPolls
from ingestion.problems import refuse
from ingestion.submit import SubmitRoutes


class Announcer(Protocol):
    """Tells waiters that jobs have ended, if it can. Never raises for that."""

    async def publish(self, job_ids: Sequence[UUID]) -> None: ...


@dataclass(frozen=True, slots=True)
class Services:
    """All parts that need Postgres; search and the announcer where they are configured."""

    keys: KeyRing
    jobs: JobStore
    submit: SubmitRoutes
    polls: LongPolls
    catalogue: RecipeCatalogue
    search: Search | None = None
    announcer: Announcer | None = None
    letters: DeadLetters | None = None
    errors: Errors | None = None
    budgets: Budgets | None = None
    usage: Usage | None = None
    control: JobControl | None = None


class Opening:
    """Holds the services from the moment they are there."""

    def __init__(self) -> None:
        self._services: Services | None = None

    def open(self, services: Services) -> None:
        """Serve from now on."""
        self._services = services

    @property
    def services(self) -> Services:
        """The services. Raises RequestError (503) while there are none."""
        if self._services is None:
            raise _starting()
        return self._services


def _starting() -> RequestError:
    return refuse("starting", "The service waits for its database. Try again.")
