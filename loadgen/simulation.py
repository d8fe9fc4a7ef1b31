"""A simulated log of shop visitors over weeks: late, repeated and undone events in order of arrival.

Deterministic by its seed. Knows nothing of features; whoever reads it decides what it means.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
_TYPES = ["view_item", "view_item_list", "select_item", "add_to_cart", "search", "purchase", "begin_checkout"]
_SHARES = [45, 18, 12, 10, 8, 4, 3]


class Arrival(NamedTuple):
    """One record of the log: when the broker appended it, and the event as sent plus `eventTime`."""

    append_ms: int
    event: dict[str, object]


@dataclass
class Simulation:
    """`events` events of `users` users over `days` days from `start_ms` on; the 99th percentile of users
    has exp(2.3 x `spread`) times as many as the median.

    Duplicates come within an hour of the first; undos within 20 hours, and one in ten of them twice, or for an event
    that never was.
    """

    events: int = 200_000
    users: int = 2_000
    days: int = 35
    duplicates: float = 0.05
    late: float = 0.10
    latest_ms: int = 2 * DAY_MS
    undos: float = 0.01
    start_ms: int = 20_000 * DAY_MS
    seed: int = 5
    spread: float = 0.4
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)

    @property
    def end_ms(self) -> int:
        """The end of the simulated days."""
        return self.start_ms + self.days * DAY_MS

    def log(self) -> list[Arrival]:
        """All records, in order of arrival."""
        weights = [self.rng.lognormvariate(0, self.spread) for _ in range(self.users)]
        total = sum(weights)
        records: list[Arrival] = []
        for user, weight in enumerate(weights):
            for event in self._visits(f"user-{user}", round(self.events * weight / total)):
                records += self._arrivals(event)
        records.sort(key=lambda record: record.append_ms)
        return [record for record in records if record.append_ms < self.end_ms]

    def _visits(self, user_id: str, count: int) -> Iterator[dict[str, object]]:
        """Events in sessions of some minutes, around the items that this user likes."""
        rng = self.rng
        items = [rng.randrange(5_000) for _ in range(rng.randint(3, 60))]
        while count > 0:
            time_ms = self.start_ms + rng.randrange(self.days * DAY_MS)
            for _ in range(min(count, rng.randint(1, 12))):
                yield self._event(user_id, time_ms, rng.choice(items))
                time_ms += int(rng.expovariate(1 / (3 * MINUTE_MS)))
                count -= 1

    def _event(self, user_id: str, time_ms: int, item: int) -> dict[str, object]:
        rng = self.rng
        kind = rng.choices(_TYPES, _SHARES)[0]
        event: dict[str, object] = {"eventId": self._id(), "type": kind, "userId": user_id, "eventTime": time_ms}
        if kind == "search":
            event["searchTerm"] = f"term {rng.randrange(30)}"
        elif kind == "view_item_list":
            event["listId"] = f"list-{item % 20}"
        else:
            event |= {"itemId": f"sku-{item}", "category": f"category-{item % 40}"}
        if kind == "purchase":
            event |= {"value": round(rng.uniform(5, 300), 2), "currency": "EUR"}
        return event

    def _arrivals(self, event: dict[str, object]) -> Iterator[Arrival]:
        rng = self.rng
        time_ms = event["eventTime"]
        assert isinstance(time_ms, int)
        append_ms = time_ms + rng.randrange(2_000)
        if rng.random() < self.late:
            append_ms += rng.randrange(self.latest_ms)
        yield Arrival(append_ms, event)
        if rng.random() < self.duplicates:
            yield Arrival(append_ms + rng.randrange(HOUR_MS), event)
        if rng.random() < self.undos:
            undone_ms = append_ms + rng.randrange(1, 20 * HOUR_MS)
            undo = {**event, "eventId": self._id(), "type": "undo", "undoes": event["eventId"], "eventTime": undone_ms}
            if rng.random() < 0.05:
                undo["undoes"] = self._id()
            yield Arrival(undone_ms, undo)
            if rng.random() < 0.05:
                yield Arrival(undone_ms + rng.randrange(HOUR_MS), undo)
            if rng.random() < 0.05:
                yield Arrival(undone_ms + rng.randrange(HOUR_MS), {**undo, "eventId": self._id()})

    def _id(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128)))
