"""How a path of the relay lives: sessions, each with a producer of its own, ended by any error, begun anew.

One reaction for all errors. Nobody gives up: the back-off is 0.1 s, doubling to 2 s while nothing works.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from common.cancellation import heed_cancellation
from common.errors import HeadraceError, RecordRefused
from persistence.relay.path import ShardContext

_FIRST_BACKOFF_S: Final = 0.1
_LONGEST_BACKOFF_S: Final = 2.0
_WORKED_S: Final = 5.0

log = structlog.get_logger(__name__)


async def keep_in_session(path: str, context: ShardContext, session: Callable[[], Awaitable[None]]) -> None:
    """Run ``session`` anew whenever it ended by an error; return once it ended because of a stop."""
    shard = context.shard
    backoff_s = _FIRST_BACKOFF_S
    while not context.stopping.is_set():
        began = time.monotonic()
        try:
            await session()
            continue
        except RecordRefused as error:
            log.warning("relay_record_refused", path=path, shard=shard, reason=error.reason)
            backoff_s = 0.0
        except HeadraceError as error:
            log.warning("relay_session_ended", path=path, shard=shard, reason=str(error))
        # The isolation point of the relay: an error nobody foresaw must not end a shard that only it serves.
        except Exception as error:
            heed_cancellation(error)
            log.exception("relay_session_failed", path=path, shard=shard)
        context.metrics.recoveries.labels(path).inc()
        if time.monotonic() - began > _WORKED_S:
            backoff_s = _FIRST_BACKOFF_S
        await asyncio.sleep(backoff_s)
        backoff_s = min(_LONGEST_BACKOFF_S, max(_FIRST_BACKOFF_S, backoff_s * 2))
