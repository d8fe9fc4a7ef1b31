"""Receipts: positions as opaque tokens."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.receipts import InvalidReceipt, Position, decode_receipt, encode_receipt

NUMBERS = st.integers(0, 2**63 - 1)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_a_token_leads_back_to_its_position(epoch: int, partition: int, offset: int) -> None:
    position = Position(epoch, partition, offset)
    token = encode_receipt(position)
    assert decode_receipt(token) == position
    assert token.isascii()
    assert "=" not in token


BEYOND_64_BITS = base64.urlsafe_b64encode(b"r1.1.0.%d" % 2**63).decode()


@pytest.mark.parametrize(
    "token", ["", "x", "é", "cjEuMS4y", "cjIuMS4yLjM", "cjEuYS5iLmM", "====", "a" * 5, BEYOND_64_BITS]
)
def test_anything_else_is_no_receipt(token: str) -> None:
    with pytest.raises(InvalidReceipt, match="not a receipt of trackEvents"):
        decode_receipt(token)


@pytest.mark.parametrize(
    ("row", "reached"),
    [
        (None, False),
        (Position(1, 0, 9), False),
        (Position(1, 0, 10), True),
        (Position(1, 0, 11), True),
        (Position(2, 0, 0), True),
        (Position(2, 5, 0), True),
        (Position(1, 5, 11), False),
        (Position(0, 0, 99), False),
    ],
)
def test_a_row_has_reached_a_position_at_or_before_its_own(row: Position | None, reached: bool) -> None:
    assert Position(1, 0, 10).reached_by(row) is reached
