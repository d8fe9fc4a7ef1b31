"""Packed states of every format version still read. The bytes are never written anew: a new format adds a file."""

from __future__ import annotations

import dataclasses
import json
import zlib
from pathlib import Path

import pytest

from features.catalogue import Catalogue, Count, Windowed
from features.derive import derive
from features.fold import Folder, Outcome
from features.packing import FORMAT, UnreadableState, pack, unpack
from schemas.receipts import Position
from tests.unit.feature_world import CATALOGUE, DAY_MS, make_event
from tests.unit.test_aggregations import EVERY_KIND

GOLDEN = Path(__file__).parent / "golden"
FORMATS = sorted(int(path.stem.rsplit("_", 1)[1]) for path in GOLDEN.glob("state_format_*.hex"))


def golden(version: int) -> bytes:
    return bytes.fromhex((GOLDEN / f"state_format_{version}.hex").read_text())


def test_there_is_a_golden_state_of_every_format() -> None:
    assert list(range(1, FORMAT + 1)) == FORMATS


@pytest.mark.parametrize("version", FORMATS)
def test_a_state_of_every_format_reads_as_it_did(version: int) -> None:
    written = json.loads((GOLDEN / f"state_format_{version}.json").read_text())
    state = unpack(golden(version), CATALOGUE)
    read = {feature.name: feature.value for feature in derive(CATALOGUE, state, written["nowMs"])}
    assert {name: read[name] for name in written["values"]} == written["values"]


def test_the_current_format_is_written_as_it_was() -> None:
    assert pack(unpack(golden(FORMAT), CATALOGUE), CATALOGUE) == golden(FORMAT)


@pytest.mark.parametrize("version", [2, 3, 4])
def test_a_long_state_that_was_deflated_reads_as_it_did(version: int) -> None:
    assert unpack(b"z" + zlib.compress(golden(version), 1), CATALOGUE) == unpack(golden(version), CATALOGUE)


def test_a_long_state_with_parts_of_every_kind_reads_as_it_did() -> None:
    """Compressed, with a sketch, dropped scores, extremes and every doubt that an undo leaves."""
    blob = bytes.fromhex((GOLDEN / "every_kind_format_5.hex").read_text())
    written = json.loads((GOLDEN / "every_kind_format_5.json").read_text())
    state = unpack(blob, EVERY_KIND)
    read = derive(EVERY_KIND, state, written["nowMs"])
    values = {feature.name: feature.value for feature in read}
    assert values.pop("spent") == pytest.approx(written["values"].pop("spent"))  # its last bit is the C library's
    assert values == written["values"]
    assert sorted(feature.name for feature in read if feature.approximate) == written["approximate"]
    assert unpack(pack(state, EVERY_KIND), EVERY_KIND) == state


def test_an_upgraded_state_is_written_in_the_current_format() -> None:
    state = unpack(golden(1), CATALOGUE)
    assert unpack(pack(state, CATALOGUE), CATALOGUE) == state


def test_measures_that_format_1_did_not_have_say_since_when_they_count() -> None:
    state = unpack(golden(1), CATALOGUE)
    features = {feature.name: feature for feature in derive(CATALOGUE, state, state.append_ms)}
    assert features["viewCount7d"].counts_from_ms is None
    assert features["firstSeenAt"].counts_from_ms is None
    assert features["distinctItemsViewed7d"].counts_from_ms == state.append_ms
    assert features["distinctItemsViewed7d"].covered_from_ms == state.append_ms


def test_the_duplicate_guard_of_format_1_still_guards_but_knows_nothing_to_undo() -> None:
    state = unpack(golden(1), CATALOGUE)
    assert state.position is not None
    folder = Folder(CATALOGUE)
    known = "00000000-0000-0000-0000-000000000006"
    after = Position(3, 5, state.position.offset + 1)
    assert folder.fold(state, make_event(event_id=known), after, state.append_ms) is Outcome.DUPLICATE
    undo = make_event(type="undo", undoes=known)
    next_to_it = dataclasses.replace(after, offset=after.offset + 1)
    assert folder.fold(state, undo, next_to_it, state.append_ms) is Outcome.UNDO_TOO_LATE


@pytest.mark.parametrize("version", FORMATS)
def test_an_item_that_comes_again_moves_in_a_sequence_of_every_format(version: int) -> None:
    state = unpack(golden(version), CATALOGUE)
    assert state.position is not None
    items = state.parts[[measure.name for measure in CATALOGUE.part_measures].index("viewed_items")]
    known = [*items.values]
    assert len(known) > 1
    again = make_event(state.append_ms, event_id="again", item_id=known[-1])
    after = dataclasses.replace(state.position, offset=state.position.offset + 1)
    assert Folder(CATALOGUE).fold(state, again, after, state.append_ms) is Outcome.FOLDED
    assert items.values == [known[-1], *known[:-1]]


def test_format_1_of_unknown_measures_is_unreadable() -> None:
    blob = golden(1).replace(bytes.fromhex("cef5949081"), bytes.fromhex("cef5949082"))
    with pytest.raises(UnreadableState, match="f5949082"):
        unpack(blob, CATALOGUE)


def test_format_1_reads_for_a_catalogue_with_one_of_its_measures() -> None:
    small = Catalogue(
        measures=[Count("views", of="view_item")], features=[Windowed("views30d", "views", window="30d", doc="")]
    )
    state = unpack(golden(1), small)
    (derived,) = derive(small, state, state.append_ms)
    assert (derived.value, derived.counts_from_ms) == (3, None)
    assert state.append_ms - DAY_MS < state.last_event_ms
