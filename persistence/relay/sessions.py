"""How a path of the relay lives: a session of its own connection and producer, ended by any error, begun anew.

One reaction for all errors. Nobody gives up: the back-off is 0.1 s, doubling to 2 s while nothing works.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, NoReturn

import structlog

from common.errors import HeadraceError, RecordRefused
from persistence.postgres.pool import Connection, Pool, connection

_FIRST_BACKOFF_S: Final = 0.1
_LONGEST_BACKOFF_S: Final = 2.0
_WORKED_S: Final = 5.0

log = structlog.get_logger(__name__)


@asynccontextmanager
async def held_connection(pool: Pool) -> AsyncIterator[Connection]:
    """Lend a connection for long; after an error or a cancel it is closed hard, never reset and reused."""
    async with connection(pool) as lent:
        try:
            yield lent
        except BaseException:
            lent.terminate()
            raise


async def keep_in_session(
    path: str, shard: int, session: Callable[[], Awaitable[None]], failed: Callable[[], None]
) -> NoReturn:
    """Run ``session`` for ever; ``failed`` is called after each one that ended."""
    backoff_s = _FIRST_BACKOFF_S
    while True:
        began = time.monotonic()
        try:
            await session()
        except RecordRefused as error:
            log.warning("relay_record_refused", path=path, shard=shard, reason=error.reason)
            backoff_s = 0.0
        except HeadraceError as error:
            log.warning("relay_session_ended", path=path, shard=shard, reason=str(error))
        # The isolation point of the relay: an error nobody foresaw must not end a shard that only it serves.
        except Exception:  # noqa: BLE001
            log.exception("relay_session_failed", path=path, shard=shard)
        failed()
        if time.monotonic() - began > _WORKED_S:
            backoff_s = _FIRST_BACKOFF_S
        await asyncio.sleep(backoff_s)
        backoff_s = min(_LONGEST_BACKOFF_S, max(_FIRST_BACKOFF_S, backoff_s * 2))
