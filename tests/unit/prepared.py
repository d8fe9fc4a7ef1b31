"""The statements of rows as a driver has prepared them, without a server."""

from __future__ import annotations

from cassandra.cqltypes import lookup_casstype
from cassandra.protocol import ColumnMetadata
from cassandra.query import PreparedStatement

from storage.row_encoding import WRITE_EVENT, WRITE_STATE, RowEncoder

_TYPES = {"varchar": "VarcharType", "blob": "BytesType", "int": "Int32Type", "bigint": "LongType"}


def prepared(query: str, types: list[str], partition_key: list[int]) -> PreparedStatement:
    columns = [
        ColumnMetadata("headrace", "table", f"column{place}", lookup_casstype(_TYPES[kind]))
        for place, kind in enumerate(types)
    ]
    return PreparedStatement(columns, b"0123456789abcdef", partition_key, query, "headrace", 5, None, None)


WRITES_STATE = prepared(WRITE_STATE, ["varchar", "blob", "int", "int", "bigint", "bigint"], [0])
WRITES_EVENT = prepared(
    WRITE_EVENT, ["varchar", "int", "int", "bigint", "varchar", "varchar", "blob", "bigint"], [0, 1, 2]
)


def encoder() -> RowEncoder:
    return RowEncoder(WRITES_STATE, WRITES_EVENT)
