"""Which rows share a batch."""

from __future__ import annotations

from storage.packed_batch import BATCH_BYTES, PackedRow, batches, by_partition


def rows(count: int, size_bytes: int) -> list[PackedRow]:
    return [PackedRow(b"user-%d" % n, b"%d:" % n + bytes(size_bytes)) for n in range(count)]


def test_a_batch_is_bounded_in_bytes_and_loses_no_row() -> None:
    packed = rows(100, 3_000)
    made = batches("ks", packed, None)
    assert len(made) > 5
    assert all(sum(map(len, batch.entries)) <= BATCH_BYTES for batch in made)
    assert [entry for batch in made for entry in batch.entries] == [row.entry for row in packed]


def test_rows_of_a_partition_are_together_and_in_order() -> None:
    packed = [PackedRow(b"user-%d" % (n % 7), b"%d" % n) for n in range(70)]
    assert [int(row.entry) for row in by_partition(packed)] == sorted(range(70), key=lambda n: n % 7)


def test_a_row_larger_than_a_batch_goes_alone() -> None:
    small, large = rows(1, 10), rows(1, BATCH_BYTES + 1)
    assert [len(batch.entries) for batch in batches("ks", [*small, *large, *small], None)] == [1, 1, 1]


def test_rows_of_different_replicas_never_share_a_batch() -> None:
    packed = rows(30, 10)
    made = batches("ks", packed, lambda routing_key: frozenset({int(routing_key[-1:]) % 3}))
    assert len(made) == 3
    for batch in made:
        [residue] = {int(entry[: entry.index(b":")]) % 10 % 3 for entry in batch.entries}
        assert int(batch.routing_key[-1:]) % 3 == residue, "its coordinator must be a replica of its rows"
    assert all(batch.is_idempotent and batch.keyspace == "ks" for batch in made)


def test_no_rows_make_no_batch() -> None:
    assert batches("ks", [], None) == []
