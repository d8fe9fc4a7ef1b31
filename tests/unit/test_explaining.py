"""The value that is recomputed from the timeline: an alarm where one is due, and never a false one."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from features.catalogue import Catalogue, Count, LastDistinct, Moments, Ratio, Recent, SeenAt, Sum, Windowed
from features.fold import Outcome
from features.packing import pack, unpack
from graphql_api.explaining import Explained, explain_feature
from graphql_api.reads import Reads
from runtime.settings import ApiSettings
from schemas.events import Event
from storage.memory import MemoryUserStore
from storage.rows import DAY_MS, TIMELINE_DAYS, StateRow, TimelineRow
from tests.unit.feature_world import CATALOGUE, HOUR_MS, NOW_MS, Log, make_event, undo_of

WIRE = {"item_id": "itemId", "search_term": "searchTerm"}
VIEWS = Count("views", of="view_item")
CARTS = Count("carts", of="add_to_cart")
VIEWS_24H = Windowed("views24h", "views", window="24h", doc="")
CARTS_24H = Windowed("carts24h", "carts", window="24h", doc="")


def payload(event: Event) -> bytes:
    fields: dict[str, Any] = {"eventId": event.event_id, "type": event.type, "userId": event.user_id}
    fields |= {"eventTime": event.event_time, "receivedAt": event.received_at, "undoes": event.undoes}
    fields |= {WIRE.get(name, name): getattr(event, name) for name in ("item_id", "category", "value", "search_term")}
    return orjson.dumps({name: value for name, value in fields.items() if value is not None})


async def explained(
    log: Log,
    name: str,
    *,
    now_ms: int = NOW_MS,
    read_at_ms: int | None = None,
    past: bool = False,
    missing: tuple[Event, ...] = (),
    later: tuple[tuple[Event, int], ...] = (),
) -> Explained:
    """`name` of the user whose records are those of `log`; `later` ones have not been folded yet."""
    store = MemoryUserStore()
    records = [(event, append_ms) for event, _, append_ms in log.records if event not in missing]
    rows = [
        TimelineRow("ann", event.event_time, event.event_id, event.type, payload(event), append_ms * 1000)
        for event, append_ms in (*records, *later)
    ]
    assert log.state.position is not None
    state = StateRow("ann", pack(log.state, log.catalogue), log.state.version, log.state.position)
    await store.write([state], rows)
    settings = ApiSettings()  # type: ignore[call-arg]  # every field has a default
    reads = Reads(store, log.catalogue, settings, clock=lambda: read_at_ms or now_ms)
    row = await reads.user("ann", after=None, deadline_ms=0)
    feature = next(each for each in log.catalogue.features if each.name == name)
    return await explain_feature(reads, log.catalogue, row, feature, now_ms, past=past)


def ids(told: Explained) -> list[str]:
    return [entry.event_id for entry in told.last_events]


async def test_a_value_that_the_timeline_gives_as_well_is_the_same() -> None:
    log = Log()
    for hours in (3, 2, 1):
        log.send(make_event(NOW_MS - hours * HOUR_MS, item_id="a"), append_ms=NOW_MS - hours * HOUR_MS)
    for feature in CATALOGUE.features:
        told = await explained(log, feature.name)
        assert (told.differs, told.reason) == (False, None), feature.name


async def test_an_event_that_counted_twice_and_one_that_was_lost_raise_the_alarm() -> None:
    log = Log()
    for minutes in (3, 2, 1):
        log.send(make_event(NOW_MS, item_id="a"), append_ms=NOW_MS - minutes * 60_000)
    told = await explained(log, "viewCount1h", missing=(log.records[0][0],))
    assert told.recomputed is not None
    assert (told.explanation.value, told.recomputed.value, told.differs, told.reason) == (3, 2, True, None)
    cells = log.state.cells[0]
    for place in range(0, len(cells.numbers), cells.width):
        cells.numbers[place + 1] -= 2  # one less could be the last event, in a flush that has not been written yet
    assert (await explained(log, "viewCount1h")).differs


async def test_an_event_and_its_undo_in_one_request_give_no_alarm() -> None:
    log = Log()
    view = make_event(NOW_MS - 5000, event_id="00000000-0000-4000-8000-000000000001")
    log.send(view)
    log.send(msgspec.structs.replace(undo_of(view), event_time=NOW_MS, received_at=view.received_at))
    told = await explained(log, "viewCount1h")
    assert told.recomputed is not None
    assert (told.recomputed.value, told.differs, told.reason) == (0, False, None)


async def test_an_undo_that_came_before_its_event_at_the_same_moment_is_a_doubt() -> None:
    log = Log()
    view = make_event()
    log.send(undo_of(view))
    log.send(view)
    log.send(make_event(NOW_MS, "search"), append_ms=NOW_MS + 1)
    told = await explained(log, "viewCount1h")
    assert (told.explanation.value, told.differs) == (1, False)
    assert told.reason == "the order of events that were appended at the same moment is not known any more"


@pytest.mark.parametrize("items", ["ab", "ba"])
async def test_items_of_one_event_time_and_one_batch_are_no_alarm(items: str) -> None:
    log = Log()
    for item in items:
        log.send(make_event(event_id=f"00000000-0000-4000-8000-0000000000{ord(item)}", item_id=item))
    log.send(make_event(NOW_MS, "search"), append_ms=NOW_MS + 1)
    assert not (await explained(log, "recentItems")).differs


async def test_what_the_apis_clocks_say_of_the_order_does_not_matter() -> None:
    log = Log()
    view = make_event(item_id="a")
    log.send(view, append_ms=NOW_MS - 60_000)
    late_clock = msgspec.structs.replace(undo_of(view), received_at=view.received_at - HOUR_MS)
    log.send(late_clock, append_ms=NOW_MS - 1)
    log.send(make_event(NOW_MS, "search"), append_ms=NOW_MS)
    told = await explained(log, "viewCount1h")
    assert (told.explanation.value, told.differs, told.reason) == (0, False, None)


async def test_events_that_a_worker_has_not_folded_yet_are_no_alarm() -> None:
    log = Log()
    log.send(make_event(), append_ms=NOW_MS - 10)
    same_ms, after = make_event(), make_event()
    told = await explained(log, "viewCount1h", later=((same_ms, NOW_MS - 10), (after, NOW_MS)))
    assert (told.explanation.value, told.differs, told.reason) == (1, False, None)


def test_the_table_keeps_events_as_long_as_is_said() -> None:
    assert f"default_time_to_live = {TIMELINE_DAYS * 86_400}\n" in Path("storage/migrations/0001_users.cql").read_text()


async def test_many_events_of_one_millisecond_that_are_half_folded_are_a_doubt() -> None:
    log = Log()
    for _ in range(30):
        log.send(make_event(), append_ms=NOW_MS)
    told = await explained(log, "viewCount1h", later=tuple((make_event(), NOW_MS) for _ in range(30)))
    assert (told.explanation.value, told.differs) == (30, False)
    assert told.reason == "a worker may not have folded all of the many events of the last millisecond"


async def test_what_has_left_the_timeline_is_no_alarm() -> None:
    log = Log()
    first = make_event(NOW_MS)
    log.send(first, append_ms=NOW_MS)
    read_at_ms = NOW_MS + TIMELINE_DAYS * DAY_MS
    log.send(make_event(read_at_ms), append_ms=read_at_ms)
    told = await explained(log, "firstSeenAt", now_ms=read_at_ms, missing=(first,))
    assert (told.explanation.value, told.differs) == (NOW_MS, False)
    assert told.reason == "events of that time may have left the timeline, which keeps them for 35 days"


def with_carts_later(*features: Any) -> Log:
    """A view and a cart are folded, then the catalogue gets to count carts, then come two more of each."""
    old = Catalogue(measures=[VIEWS], features=[VIEWS_24H])
    new = Catalogue(measures=[VIEWS, CARTS], features=[VIEWS_24H, CARTS_24H, *features])
    log = Log(old)
    for kind in ("view_item", "add_to_cart"):
        log.send(make_event(NOW_MS - 3 * HOUR_MS, kind), append_ms=NOW_MS - 3 * HOUR_MS)
    later = Log(new, offset=log.offset, records=log.records)
    later.state = unpack(pack(log.state, old), new)
    for kind in ("view_item", "add_to_cart") * 2:
        later.send(make_event(NOW_MS - HOUR_MS, kind), append_ms=NOW_MS - HOUR_MS)
    return later


async def test_a_measure_that_came_later_is_compared_with_the_events_since() -> None:
    told = await explained(with_carts_later(), "carts24h")
    assert told.recomputed is not None
    assert (told.explanation.value, told.recomputed.value, told.differs) == (2, 2, False)
    assert len(told.last_events) == 2


async def test_measures_that_count_since_different_moments_are_not_compared() -> None:
    log = with_carts_later(Ratio("rate", "carts", "views", window="24h", doc=""))
    told = await explained(log, "rate")
    assert (told.recomputed, told.differs) == (None, False)
    assert told.reason == "its measures count since different moments"


async def test_only_events_that_count_are_shown() -> None:
    catalogue = Catalogue(
        measures=[
            LastDistinct("items", of="view_item", field="item_id", k=5),
            Moments("seen"),
            Sum("spent", of="purchase", value="value"),
        ],
        features=[
            Recent("recent", "items", doc=""),
            SeenAt("lastSeen", "seen", which="last", doc=""),
            Windowed("spent24h", "spent", window="24h", doc=""),
        ],
    )
    log = Log(catalogue)
    kept = make_event(NOW_MS - 4000, item_id="a")
    bare = make_event(NOW_MS - 3000)
    undone = make_event(NOW_MS - 2000, item_id="b")
    free = make_event(NOW_MS - 1000, "purchase")
    for event in (kept, bare, undone, free, undo_of(undone)):
        log.send(event)
    assert ids(await explained(log, "recent")) == [kept.event_id]
    assert ids(await explained(log, "lastSeen")) == [free.event_id, bare.event_id, kept.event_id]
    assert ids(await explained(log, "spent24h")) == []


async def test_events_after_an_earlier_moment_are_not_shown() -> None:
    log = Log()
    before, after = make_event(NOW_MS - 5 * HOUR_MS, item_id="a"), make_event(NOW_MS, item_id="b")
    log.send(before)
    log.send(after)
    for name in ("viewCount24h", "recentItems"):
        told = await explained(log, name, now_ms=NOW_MS - 2 * HOUR_MS, read_at_ms=NOW_MS, past=True)
        assert ids(told) == [before.event_id], name


@pytest.mark.parametrize("seed", range(20))
async def test_no_log_that_is_folded_as_it_is_raises_the_alarm(seed: int) -> None:
    chance = random.Random(seed)
    log = Log(append_ms=NOW_MS - DAY_MS)
    sent: list[Event] = []
    for number in range(chance.randint(1, 40)):
        log.append_ms += chance.choice([0, 0, 1, 500, 40 * 60_000])
        time_ms = log.append_ms - chance.choice([0, 0, 1, HOUR_MS, 3 * DAY_MS])
        kind = chance.choice(["view_item", "view_item", "add_to_cart", "purchase", "search"])
        event = make_event(time_ms, kind, item_id=chance.choice("abc"), category="x", value=2.5, search_term="s")
        event = msgspec.structs.replace(event, received_at=log.append_ms + chance.choice([-9, 0, 9]))
        sent.append(event)
        if number % 4 == 3:
            event = msgspec.structs.replace(undo_of(chance.choice(sent)), received_at=event.received_at)
        if log.send(event) not in (Outcome.FOLDED, Outcome.UNDONE, Outcome.NOTHING_TO_UNDO):
            log.records.pop()
    read_at_ms = log.append_ms + chance.choice([-5, 0, 5])
    for feature in CATALOGUE.features:
        for back_ms in (0, 2 * HOUR_MS):
            now_ms = read_at_ms - back_ms
            told = await explained(log, feature.name, now_ms=now_ms, read_at_ms=read_at_ms, past=back_ms > 0)
            assert not told.differs, (feature.name, told)
