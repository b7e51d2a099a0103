"""Kafka's errors as ours: the broker being away is waited for, a record it refuses is poison."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import (
    ConsumerStoppedError,
    IllegalOperation,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
)

from common.errors import BrokerUnavailable


class RecordRefused(BrokerUnavailable):
    """Kafka refused a batch for its size; its neighbours are innocent, so each is tried alone."""


@contextmanager
def broker_errors(doing: str) -> Iterator[None]:
    """Turn what aiokafka raises into BrokerUnavailable; ``doing`` says what was tried."""
    try:
        yield
    except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
        raise RecordRefused(f"{doing}: Kafka refused a record for its size") from error
    except (
        KafkaError,
        IllegalOperation,
        ConsumerStoppedError,
        OSError,
        TimeoutError,
        AssertionError,
    ) as error:
        # AssertionError: aiokafka's own state checks after a producer has died.
        raise BrokerUnavailable(f"{doing}: {type(error).__name__}") from error
