"""Where Kafka's default partitioner puts a key: every writer of a topic must agree on it."""

from __future__ import annotations

from aiokafka.partitioner import murmur2


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a topic of `partitions` in which all records of `key` lie."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)
