"""The partition of a key, exactly as Kafka's default partitioner chooses it (murmur2 of the key bytes).

The same answer as ``aiokafka.partitioner.DefaultPartitioner`` for half of its CPU: the relay asks it for
every record it batches itself.
"""

from struct import unpack_from

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995
_SEED = 0x9747B28C


def partition_of(key: bytes, partitions: int) -> int:
    """Return the partition of ``key`` among ``partitions`` of a topic."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(key: bytes) -> int:
    length = len(key)
    words = length // 4
    h = _SEED ^ length
    for word in unpack_from(f"<{words}I", key):
        k = word * _M & _MASK
        h = (h * _M & _MASK) ^ ((k ^ k >> 24) * _M & _MASK)
    tail = key[words * 4 :]
    if tail:
        h = ((h ^ int.from_bytes(tail, "little")) * _M) & _MASK
    h = ((h ^ h >> 13) * _M) & _MASK
    return h ^ h >> 15
