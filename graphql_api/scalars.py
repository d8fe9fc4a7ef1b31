"""GraphQL scalars: DateTime, with the same rules for input as the JSON mutation has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec
import strawberry
from graphql import GraphQLError

_MomentWithOffset = Annotated[datetime, msgspec.Meta(tz=True)]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(epoch_ms: int) -> datetime:
    """The UTC moment `epoch_ms` milliseconds after the epoch."""
    return _EPOCH + timedelta(milliseconds=epoch_ms)


def moment_or_none(epoch_ms: int | None) -> datetime | None:
    """Like `moment`; None stays None."""
    return None if epoch_ms is None else moment(epoch_ms)


def format_moment(value: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and `Z`."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_moment(value: object) -> datetime:
    """The moment an ISO 8601 text names, in UTC. Raises GraphQLError."""
    if not isinstance(value, str):
        raise GraphQLError("a DateTime is a string such as 2026-01-31T12:00:00Z")
    try:
        return msgspec.convert(value, _MomentWithOffset).astimezone(UTC)
    except msgspec.ValidationError:
        raise GraphQLError("a DateTime is ISO 8601 with an offset, for example 2026-01-31T12:00:00Z") from None
    except OverflowError:
        raise GraphQLError("the DateTime lies outside the years 1 to 9999") from None


DATE_TIME: Final = strawberry.scalar(
    name="DateTime",
    description=(
        "A moment as ISO 8601. Input needs an offset (`Z` or `+02:00`); output is UTC with milliseconds and `Z`."
    ),
    serialize=format_moment,
    parse_value=parse_moment,
)
