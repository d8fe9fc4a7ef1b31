"""Shopping sessions as a list of requests: what is sent, and when, decided in advance from a seed. Pure.

Users and items are Zipf-skewed. Times are milliseconds since the start of the run, so that one seed is one run.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Mutation = Literal["trackEvents", "trackEventsJson"]

FLUSH_EVENTS: Final = 20  # an app's SDK sends when it has gathered so many, or when the session pauses
_STEP_MS: Final = (300, 8_000)  # from one thing that a visitor does to the next
_USERS_PER_EVENT: Final = 1 / 20
_ITEMS: Final = 2_000
_USER_SKEW: Final = 0.8
_ITEM_SKEW: Final = 1.1
_NEXT_FLUSH_MS: Final = (100, 1_000)
_SHIFT_MS: Final = 10 * 60_000
_RESEND_AFTER_MS: Final = (50, 3_000)
_CATEGORIES: Final = ("shoes", "jackets", "books", "garden", "kitchen", "toys", "audio", "lamps")
_TERMS: Final = ("red shoes", "rain jacket", "garden chair", "desk lamp", "headphones", "cookbook", "blocks", "mug")

# What a visitor does next, and with what weight.
_NEXT: Final[dict[str, tuple[tuple[str, ...], tuple[float, ...]]]] = {
    "start": (("view_item_list", "search", "view_item", "sign_up"), (5, 3, 2, 0.2)),
    "search": (("view_item_list", "search", "end"), (8, 1, 0.5)),
    "view_item_list": (("select_item", "view_item_list", "search", "end"), (6, 2, 1, 0.5)),
    "select_item": (("view_item",), (1,)),
    "view_item": (("view_item", "add_to_cart", "view_item_list", "share", "end"), (3, 2, 3, 0.3, 0.7)),
    "add_to_cart": (("begin_checkout", "view_item", "remove_from_cart", "end"), (2, 6, 1, 0.3)),
    "remove_from_cart": (("view_item", "end"), (5, 1)),
    "begin_checkout": (("purchase", "end"), (3, 1)),
    "purchase": (("end", "view_item_list"), (3, 1)),
    "share": (("view_item", "end"), (4, 1)),
    "sign_up": (("view_item_list",), (1,)),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """How much traffic, and how much of it is not as it should be (shares of all events)."""

    events: int
    rate: int
    seed: int
    duplicated: float = 0.05
    out_of_order: float = 0.05
    invalid: float = 0.01


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    """An event as JSON except for `occurredAt`, which is `occurred_ms` after the start of the run."""

    fields: dict[str, Any]
    occurred_ms: int
    fault: str | None = None
    """Why it must be rejected; None for a fit event."""

    def json(self, start_ms: int) -> dict[str, Any]:
        """The event in a run that starts at `start_ms`, with its `eventTime` under that name for the verifier."""
        return {**self.fields, "eventTime": start_ms + self.occurred_ms}


@dataclass(slots=True)
class Request:
    """Events of one user that leave in one request, `due_ms` after the start of the run."""

    due_ms: int
    user_id: str
    events: list[PlannedEvent] = field(default_factory=list)
    mutation: Mutation = "trackEvents"


def plan(shape: Shape, run: str) -> list[Request]:
    """The requests of a run in the order of their time. `run` is part of every user's id, so runs do not mix.

    `shape.events` counts everything that is sent: what is sent twice counts twice, and so does what is invalid.
    """
    random_ = random.Random(shape.seed)
    twice = round(shape.events * shape.duplicated)
    invalid = round(shape.events * shape.invalid)
    fit = shape.events - twice - invalid
    requests = list(_sessions(random_, shape, fit, run))
    _shift(random_, requests, round(fit * shape.out_of_order))
    _make_times_unique(requests)
    again = list(_resent(random_, requests, twice))
    _spoil(random_, random_.choices(requests, k=invalid))
    return sorted([*requests, *again], key=lambda request: request.due_ms)


class Zipf:
    """Ranks 0 to n - 1 with probability proportional to 1 / (rank + 1) ** skew."""

    def __init__(self, n: int, skew: float) -> None:
        self._cumulative = list(itertools.accumulate(1 / rank**skew for rank in range(1, n + 1)))

    def rank(self, random_: random.Random) -> int:
        """One draw."""
        return bisect.bisect(self._cumulative, random_.random() * self._cumulative[-1])


def _sessions(random_: random.Random, shape: Shape, fit: int, run: str) -> Iterator[Request]:
    """Sessions that begin all over the run and leave in requests of a few events."""
    users = Zipf(max(1, math.ceil(shape.events * _USERS_PER_EVENT)), _USER_SKEW)
    items = Zipf(_ITEMS, _ITEM_SKEW)
    run_ms = shape.events * 1000 // shape.rate
    made = 0
    while made < fit:
        user_id = f"{run}-u{users.rank(random_)}"
        steps = [_event(random_, kind, user_id, items) for kind in _walk(random_)][: fit - made]
        made += len(steps)
        due_ms = random_.randrange(run_ms)
        mutation: Mutation = random_.choice(("trackEvents", "trackEventsJson"))
        for first in range(0, len(steps), FLUSH_EVENTS):
            yield Request(due_ms, user_id, _timed(random_, steps[first : first + FLUSH_EVENTS], due_ms), mutation)
            due_ms += random_.randint(*_NEXT_FLUSH_MS)


def _timed(random_: random.Random, steps: Sequence[dict[str, Any]], due_ms: int) -> list[PlannedEvent]:
    """The steps one after the other, the last one just before they are sent."""
    events: list[PlannedEvent] = []
    at_ms = due_ms
    for fields in reversed(steps):
        events.append(PlannedEvent(fields, at_ms))
        at_ms -= random_.randint(*_STEP_MS)
    return events[::-1]


def _walk(random_: random.Random) -> Iterator[str]:
    step = "start"
    while True:
        names, weights = _NEXT[step]
        (step,) = random_.choices(names, weights)
        if step == "end":
            return
        yield step


def _event(random_: random.Random, kind: str, user_id: str, items: Zipf) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "eventId": str(uuid.UUID(int=random_.getrandbits(128), version=4)),
        "type": kind,
        "userId": user_id,
    }
    if kind == "search":
        return {**fields, "searchTerm": random_.choice(_TERMS)}
    if kind == "sign_up":
        return fields
    item = items.rank(random_)
    fields |= {"itemId": f"sku-{item}", "category": _CATEGORIES[item % len(_CATEGORIES)]}
    if kind in ("view_item_list", "select_item"):
        fields |= {"listId": "home", "position": random_.randrange(24)}
    if kind in ("add_to_cart", "remove_from_cart", "begin_checkout", "purchase"):
        fields |= {"value": round(5 + 195 * random_.random(), 2), "currency": "EUR"}
    if random_.random() < 0.2:
        fields["properties"] = {"device": random_.choice(("phone", "desktop")), "experiment": random_.randrange(4)}
    return fields


def _shift(random_: random.Random, requests: Sequence[Request], count: int) -> None:
    """Let `count` events have happened earlier than they arrive."""
    places = [(request, place) for request in requests for place in range(len(request.events))]
    for request, place in random_.sample(places, count):
        event = request.events[place]
        request.events[place] = PlannedEvent(event.fields, event.occurred_ms - random_.randrange(1, _SHIFT_MS))


def _make_times_unique(requests: Sequence[Request]) -> None:
    """No two events of a user at the same millisecond: their order would depend on which request is faster."""
    used: dict[str, set[int]] = {}
    for request in requests:
        taken = used.setdefault(request.user_id, set())
        for place, event in enumerate(request.events):
            at_ms = event.occurred_ms
            while at_ms in taken:
                at_ms -= 1
            taken.add(at_ms)
            request.events[place] = PlannedEvent(event.fields, at_ms)


def _resent(random_: random.Random, requests: Sequence[Request], count: int) -> Iterator[Request]:
    """Requests that are sent again a little later, as by a client that missed the answer: `count` events in all."""
    for request in random_.sample(requests, len(requests)):
        if count == 0:
            return
        events = request.events[:count]
        count -= len(events)
        yield Request(request.due_ms + random_.randint(*_RESEND_AFTER_MS), request.user_id, events, request.mutation)


# Each leaves an event that both mutations reject alone; the key is the code that must come back.
_FAULTS: Final[dict[str, dict[str, Any]]] = {
    "UNKNOWN_EVENT_TYPE": {"type": "veiw_item"},
    "INVALID_TYPE": {"eventId": "not-a-uuid"},
    "VALUE_OUT_OF_RANGE": {"userId": ""},
    "IN_THE_FUTURE": {},
    "TOO_OLD": {},
}
_FAULT_SHIFT_MS: Final = {"IN_THE_FUTURE": 3_600_000, "TOO_OLD": -31 * 86_400_000}


def _spoil(random_: random.Random, chosen: Sequence[Request]) -> None:
    """Put an invalid event between the fit ones of each chosen request."""
    for request in chosen:
        code = random_.choice(list(_FAULTS))
        model = next(event for event in request.events if event.fault is None)
        fields = {**model.fields, "eventId": str(uuid.UUID(int=random_.getrandbits(128), version=4)), **_FAULTS[code]}
        at_ms = model.occurred_ms + _FAULT_SHIFT_MS.get(code, 0)
        request.events.insert(random_.randint(0, len(request.events)), PlannedEvent(fields, at_ms, fault=code))
