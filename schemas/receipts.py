"""A receipt: where in the log a request's last event of its user lies, as an opaque token for read-your-own-writes."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_FORMAT: Final = "r1"
_LARGEST: Final = 2**63 - 1


@dataclass(frozen=True, order=True)  # with slots where it is compiled, see receipts.pxd
class Position:
    """A place in the events topic. Positions of one partition are ordered; `epoch` rises when the topic is remade."""

    epoch: int
    partition: int
    offset: int

    def __iter__(self) -> Iterator[int]:
        """Its numbers, in order."""
        return iter((self.epoch, self.partition, self.offset))

    def reached_by(self, other: Position | None) -> bool:
        """Whether a row at `other` already holds everything up to this position; never in another partition."""
        if other is None or other.epoch != self.epoch:
            return other is not None and other.epoch > self.epoch
        return other.partition == self.partition and other.offset >= self.offset


class InvalidReceipt(ValueError):
    """The token is not a receipt of ours."""


def encode_receipt(position: Position) -> str:
    """The token for `position`."""
    return encode_position(position, _FORMAT)


def decode_receipt(token: str) -> Position:
    """The position in `token`. Raises InvalidReceipt."""
    try:
        return decode_position(token, _FORMAT)
    except ValueError as error:
        raise InvalidReceipt("`after` is not a receipt of trackEvents") from error


def encode_position(position: Position, token_format: str) -> str:
    """An opaque token of this format."""
    text = ".".join(map(str, (token_format, *position)))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_position(token: str, token_format: str) -> Position:
    """The position in a token of this format. Raises ValueError."""
    text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    found, *numbers = text.split(".")
    epoch, partition, offset = map(int, numbers)
    if found != token_format or max(map(abs, (epoch, partition, offset))) > _LARGEST:
        raise ValueError("no such position")
    return Position(epoch, partition, offset)
