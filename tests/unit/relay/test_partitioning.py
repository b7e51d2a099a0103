"""Our partitioner chooses as Kafka's default partitioner does."""

from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from common.kafka.partitioning import partition_of


@given(st.binary(max_size=80), st.integers(1, 200))
def test_partitions_are_those_of_the_default_partitioner(key: bytes, partitions: int) -> None:
    every = list(range(partitions))

    assert partition_of(key, partitions) == DefaultPartitioner()(key, every, every)
