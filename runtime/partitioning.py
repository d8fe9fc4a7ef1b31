"""Where Kafka's default partitioner puts a key: every writer of a topic must agree on it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from aiokafka.partitioner import murmur2

# murmur2 in Python takes 2.4 us for a user id, more than sending the event. 65 536 keys take some 10 MB.
_CACHED_KEYS: Final = 1 << 16


@lru_cache(_CACHED_KEYS)
def key_hash(key: bytes) -> int:
    """What the partitioner takes modulo the number of partitions."""
    return int(murmur2(key)) & 0x7FFFFFFF


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a topic of `partitions` in which all records of `key` lie."""
    return key_hash(key) % partitions
