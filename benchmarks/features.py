"""Costs of the fold, the read and the packed state, over a simulated log of weeks. Pure: no servers."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec

from benchmarks.bench import Bench
from benchmarks.collector import as_in_the_product
from benchmarks.harness import HEADRACE, Entry, Row, Sample, Side, alternate
from features.default import CATALOGUE
from features.derive import derive
from features.fold import Folder
from features.packing import pack, unpack
from features.state import UserState, new_state
from loadgen.simulation import Arrival, Simulation
from schemas.events import MAX_ID_CHARS, MAX_TEXT_CHARS, Event
from schemas.receipts import Position

_BATCH: Final = 2_000  # records of one flush
MANY: Final = "2000 users"
GREEDY: Final = "fold one event, a user beyond the cap"


def fold_case(users: str) -> str:
    """The row of folds."""
    return f"fold one event, {users}"


def derive_case(users: str) -> str:
    """The row of derived values."""
    return f"derive all features, {users}"


def pack_case(users: str) -> str:
    """The row of packed states, which has their sizes as well."""
    return f"pack one changed user, {users}"


def measure(bench: Bench) -> Entry:
    """2 000 users, whose states do not fit into a processor's cache, and 20 users, whose do."""
    rows: list[Row] = []
    for users in (2_000, 20):
        log = Simulation(events=bench.size(100 * users, 10 * users), users=users).log()
        states: dict[str, UserState] = {}
        case = f"{users} users"
        with as_in_the_product():  # whose collector never walks over the log
            rows += alternate([Side(HEADRACE, partial(_run, log, states, case))], bench.runs, bench.say)
    with as_in_the_product():
        rows += alternate([Side(HEADRACE, partial(_greedy, bench.size(5_000, 500)))], bench.runs, bench.say)
    return Entry(
        name="features",
        title=f"The feature engine by itself, {len(CATALOGUE.features)} features over 35 simulated days",
        item="operation",
        servers="none: pure functions in this process",
        rows=rows,
    )


def _run(log: list[Arrival], states: dict[str, UserState], users: str) -> list[Sample]:
    folded = _flushes(log, states, users)
    now_ms = log[-1].append_ms
    everyone = list(states.values())
    blobs = [pack(state, CATALOGUE) for state in everyone]
    sizes = sorted(map(len, blobs))
    folded[-1].figures.update(p50_bytes=sizes[len(sizes) // 2], p99_bytes=sizes[len(sizes) * 99 // 100])
    return [
        *folded,
        _timed(f"unpack one user, {users}", len(blobs), lambda: [unpack(blob, CATALOGUE) for blob in blobs]),
        _timed(
            derive_case(users),
            len(blobs),
            lambda: [derive(CATALOGUE, state, now_ms) for state in everyone],
        ),
    ]


def _greedy(events: int) -> list[Sample]:
    """Fold views of ever new items in ever new categories, one a minute, whose texts are as long as they may be."""
    folder, state, sizes = Folder(CATALOGUE), new_state(CATALOGUE), []
    start_ms = Simulation().start_ms
    sample = _timed(GREEDY, 0, lambda: None)
    for number in range(events):
        time_ms, text = start_ms + number * 60_000, f"{number:06}" + "\N{GRINNING FACE}" * (MAX_TEXT_CHARS - 6)
        event = Event(f"id{number}", "view_item", "greedy", time_ms, time_ms, text[:MAX_ID_CHARS], text)
        batch = [(event, Position(1, 0, number), time_ms)]
        sample = _total(GREEDY, [sample, _timed("", 1, partial(_fold, folder, batch, {"greedy": state}))])
        if number % 10 == 0:
            sizes.append(len(pack(state, CATALOGUE)))
    sample.figures["largest_bytes"] = max(sizes)
    return [sample]


def _timed(case: str, items: int, work: Callable[[], object]) -> Sample:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Sample(case, items, time.perf_counter() - wall, time.process_time() - cpu)


Folded = tuple[Event, Position, int]
"""(event, position, append_ms)."""


def _flushes(log: list[Arrival], states: dict[str, UserState], users: str) -> list[Sample]:
    """Fold the log into new states as a lane does: in batches that were decoded just before, each of whose users is
    packed before the next batch comes."""
    states.clear()
    folder = Folder(CATALOGUE)
    folds, packs = [], []
    for start in range(0, len(log), _BATCH):
        batch = [
            (msgspec.convert({"receivedAt": append_ms, **fields}, Event), Position(1, 0, start + place), append_ms)
            for place, (append_ms, fields) in enumerate(log[start : start + _BATCH])
        ]
        changed = {event.user_id for event, _, _ in batch}
        for user_id in changed - states.keys():
            states[user_id] = new_state(CATALOGUE)
        folds.append(_timed("", len(batch), partial(_fold, folder, batch, states)))
        packs.append(_timed("", len(changed), partial(_pack, changed, states)))
    return [_total(fold_case(users), folds), _total(pack_case(users), packs)]


def _fold(folder: Folder, batch: list[Folded], states: dict[str, UserState]) -> None:
    for event, position, append_ms in batch:
        folder.fold(states[event.user_id], event, position, append_ms)


def _pack(changed: set[str], states: dict[str, UserState]) -> None:
    for user_id in changed:
        pack(states[user_id], CATALOGUE)


def _total(case: str, samples: list[Sample]) -> Sample:
    return Sample(
        case,
        sum(sample.items for sample in samples),
        sum(sample.wall_seconds for sample in samples),
        sum(sample.cpu_seconds for sample in samples),
    )
