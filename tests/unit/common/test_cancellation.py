"""A task that is asked to end does end, whatever goes wrong while it lets go of what it holds."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

import asyncpg
import pytest
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from common.errors import InfrastructureError
from common.kafka.errors import broker_errors
from common.redis import cache_errors
from persistence.postgres.pool import database_errors

FAILURES: list[tuple[Callable[[], AbstractContextManager[None]], Exception]] = [
    (database_errors, asyncpg.InterfaceError("cannot release")),
    (database_errors, asyncpg.PostgresConnectionError()),
    (database_errors, OSError()),
    (lambda: broker_errors("sending"), KafkaError()),
    (cache_errors, RedisError()),
]


async def keep(translated: Callable[[], AbstractContextManager[None]], failure: Exception) -> None:
    """As every loop here does, but twice only: wait out what infrastructure does, and go on."""
    for _ in range(2):
        try:
            with translated():
                try:
                    await asyncio.sleep(5)
                finally:
                    raise failure
        except InfrastructureError:
            await asyncio.sleep(0)


@pytest.mark.parametrize(("translated", "failure"), FAILURES, ids=lambda each: type(each).__name__)
async def test_an_error_in_a_clean_up_does_not_take_the_place_of_a_cancellation(
    translated: Callable[[], AbstractContextManager[None]], failure: Exception
) -> None:
    keeping = asyncio.create_task(keep(translated, failure))
    await asyncio.sleep(0)

    keeping.cancel()
    await asyncio.wait([keeping], timeout=5)

    assert keeping.cancelled()


@pytest.mark.parametrize(("translated", "failure"), FAILURES, ids=lambda each: type(each).__name__)
async def test_a_timeout_that_ends_in_such_an_error_is_a_timeout(
    translated: Callable[[], AbstractContextManager[None]], failure: Exception
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await keep(translated, failure)

    # The task itself was not asked to end: the next error is what it is.
    with pytest.raises(InfrastructureError), translated():
        raise failure
