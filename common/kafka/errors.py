"""Kafka's errors as ours: the broker being away, hung or moving is waited for."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import ConsumerStoppedError, IllegalOperation, KafkaError

from common.cancellation import being_cancelled, heed_cancellation
from common.errors import BrokerUnavailable


@contextmanager
def broker_errors(doing: str) -> Iterator[None]:
    """Turn what aiokafka raises into BrokerUnavailable; ``doing`` says what was tried."""
    try:
        yield
    except asyncio.CancelledError as error:
        # aiokafka cancels the futures of a client that gave up: only a cancelled task is a shutdown.
        if being_cancelled():
            raise
        raise BrokerUnavailable(f"{doing}: the client gave up") from error
    except (KafkaError, IllegalOperation, ConsumerStoppedError, OSError, TimeoutError, AssertionError) as error:
        # AssertionError: aiokafka's own state checks after a producer has died.
        heed_cancellation(error)
        raise BrokerUnavailable(f"{doing}: {type(error).__name__}") from error
