"""One user's log and its fold, for the tests of `features/`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from features.catalogue import Catalogue, load_catalogue
from features.derive import derive
from features.fold import Folder, Outcome
from features.state import UserState, new_state
from schemas.events import Event
from schemas.receipts import Position

CATALOGUE = load_catalogue("features.default:CATALOGUE")
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
NOW_MS = 20_000 * DAY_MS + 12 * HOUR_MS + 34 * MINUTE_MS + 56_789


def make_event(time_ms: int = NOW_MS, type: str = "view_item", event_id: str = "", **fields: object) -> Event:
    """An event of user `ann` at `time_ms`."""
    return Event(event_id or str(uuid.uuid4()), type, "ann", time_ms, time_ms, **fields)  # type: ignore[arg-type]


def undo_of(event: Event, **changes: object) -> Event:
    """The undo of `event`, its other fields repeated."""
    fields = {name: getattr(event, name) for name in ("item_id", "category", "value", "search_term")}
    return make_event(NOW_MS, "undo", undoes=event.event_id, **{**fields, **changes})


@dataclass
class Log:
    """The records of one user; each `send` appends one and folds it."""

    catalogue: Catalogue = CATALOGUE
    state: UserState = field(default_factory=lambda: new_state(CATALOGUE))
    offset: int = 0
    append_ms: int = NOW_MS
    records: list[tuple[Event, Position, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = Folder(self.catalogue)
        if self.catalogue is not CATALOGUE:
            self.state = new_state(self.catalogue)

    def send(self, event: Event, *, append_ms: int | None = None, epoch: int = 1) -> Outcome:
        """Append `event` and fold it."""
        self.append_ms = self.append_ms if append_ms is None else append_ms
        record = (event, Position(epoch, 0, self.offset), self.append_ms)
        self.offset += 1
        self.records.append(record)
        return self.folder.fold(self.state, *record)

    def replay(self, start: int = 0) -> list[Outcome]:
        """Fold the records from `start` once more."""
        return [self.folder.fold(self.state, *record) for record in self.records[start:]]

    def values(self, now_ms: int | None = None, names: Iterable[str] | None = None) -> dict[str, object]:
        """Every feature's value at `now_ms`."""
        wanted = None if names is None else set(names)
        now_ms = self.append_ms if now_ms is None else now_ms
        return {feature.name: feature.value for feature in derive(self.catalogue, self.state, now_ms, wanted)}

    def value(self, name: str, now_ms: int | None = None) -> object:
        """One feature's value."""
        return self.values(now_ms, (name,))[name]


def as_sent(event: Event) -> dict[str, object]:
    """The event as the JSON object that the reference takes."""
    sent: dict[str, object] = {"eventId": event.event_id, "type": event.type, "eventTime": event.event_time}
    names = {"item_id": "itemId", "category": "category", "value": "value", "search_term": "searchTerm"}
    return sent | {wire: getattr(event, name) for name, wire in names.items() if getattr(event, name) is not None}
