"""The verifier must see every kind of fault; a verifier that never failed proves nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from loadgen.client import ServedUser
from loadgen.drive import Books
from loadgen.oracle import expected_features
from loadgen.verify import compare
from schemas.receipts import Position, encode_receipt

AS_OF_MS = 1_790_000_000_000
USER = "ann"


def event(number: int, kind: str = "view_item", **fields: Any) -> dict[str, Any]:
    return {
        "eventId": f"00000000-0000-4000-8000-{number:012}",
        "type": kind,
        "userId": USER,
        "itemId": f"sku-{number}",
        "eventTime": AS_OF_MS - 1000 * (100 - number),
        **fields,
    }


@pytest.fixture
def books() -> Books:
    made = Books()
    for each in (event(1), event(2), event(3, "purchase", value=12.5), event(2)):
        made.accept(USER, each)
    return made


def served(books: Books, **changes: Any) -> ServedUser:
    """What a system without fault serves, with changes."""
    events = books.accepted_events[USER]
    user = ServedUser(
        fresh=True,
        values=expected_features(events, AS_OF_MS),
        as_of_ms=AS_OF_MS,
        duplicate_events=1,
        timeline=sorted({each["eventId"] for each in events}),
    )
    return dataclasses.replace(user, **changes)


def test_what_is_served_as_sent_has_no_mismatch(books: Books) -> None:
    assert books.duplicates_sent == 1
    assert compare(USER, books, served(books)) == []


def test_a_moment_may_be_served_as_iso_8601(books: Books) -> None:
    values = expected_features(books.accepted_events[USER], AS_OF_MS)
    iso = datetime.fromtimestamp(event(3)["eventTime"] / 1000, UTC).isoformat(timespec="milliseconds")
    assert compare(USER, books, served(books, values={**values, "lastSeenAt": iso})) == []


def rescored(user: ServedUser, factor: float) -> ServedUser:
    """Served with other scores in a ranking that says that it is approximate."""
    items = [{**entry, "score": entry["score"] * factor} for entry in user.values["topItems"]]
    values = {**user.values, "topItems": items}
    return dataclasses.replace(user, values=values, approximate=frozenset({"topItems"}))


def test_an_approximate_ranking_may_have_lost_scores(books: Books) -> None:
    assert served(books).values["topItems"]
    assert compare(USER, books, rescored(served(books), 0.9)) == []


FAULTS: dict[str, Callable[[ServedUser], ServedUser]] = {
    "stale": lambda user: dataclasses.replace(user, fresh=False),
    "a count too high": lambda user: dataclasses.replace(
        user, values={**user.values, "viewCount1h": user.values["viewCount1h"] + 1}
    ),
    "a score too high in an approximate ranking": lambda user: rescored(user, 1.1),
    "a sum too low": lambda user: dataclasses.replace(user, values={**user.values, "revenue30d": 12.49}),
    "a list in another order": lambda user: dataclasses.replace(
        user, values={**user.values, "recentItems": user.values["recentItems"][::-1]}
    ),
    "a moment off": lambda user: dataclasses.replace(
        user, values={**user.values, "lastSeenAt": user.values["lastSeenAt"] + 1}
    ),
    "a feature nobody knows": lambda user: dataclasses.replace(user, values={**user.values, "luckyNumber": 7}),
    "a lost event": lambda user: dataclasses.replace(user, timeline=user.timeline[1:]),
    "an event twice": lambda user: dataclasses.replace(user, timeline=[*user.timeline, user.timeline[0]]),
    "an event never sent": lambda user: dataclasses.replace(user, timeline=[*user.timeline, "x"]),
    "a duplicate not noticed": lambda user: dataclasses.replace(user, duplicate_events=0),
    "a duplicate too many": lambda user: dataclasses.replace(user, duplicate_events=2),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_found_and_named(books: Books, fault: str) -> None:
    [line] = compare(USER, books, FAULTS[fault](served(books)))
    assert line.startswith(f"{USER}: ")


def test_an_event_that_was_sent_again_for_want_of_an_answer_may_be_in_the_log_once_or_twice(books: Books) -> None:
    books.retried_events[USER] = 1
    assert compare(USER, books, served(books, duplicate_events=1)) == []
    assert compare(USER, books, served(books, duplicate_events=2)) == []
    assert compare(USER, books, served(books, duplicate_events=3)) != []


def test_the_receipt_that_lies_farthest_is_kept() -> None:
    books = Books()
    for offset in (5, 9, 7):
        books.keep_receipt(USER, encode_receipt(Position(1, 3, offset)))
    assert books.receipts[USER] == encode_receipt(Position(1, 3, 9))
