"""A receipt: where in the log a request's last event of its user lies, as an opaque token for read-your-own-writes."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass


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
    text = "r1." + ".".join(str(part) for part in position)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_receipt(token: str) -> Position:
    """The position in `token`. Raises InvalidReceipt."""
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
        tag, epoch, partition, offset = text.split(".")
        if tag != "r1":
            raise InvalidReceipt("unknown receipt format")
        return Position(int(epoch), int(partition), int(offset))
    except (ValueError, binascii.Error) as error:
        raise InvalidReceipt("`after` is not a receipt of trackEvents") from error
