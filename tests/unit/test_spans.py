"""The arithmetic of committed offsets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.spans import SpanLedger


def ledger_of(*spans: tuple[int, int]) -> SpanLedger:
    ledger = SpanLedger()
    for first, last in spans:
        ledger.open(first, last)
    return ledger


def test_nothing_is_committable_before_the_first_span_is_finished() -> None:
    ledger = ledger_of((0, 4), (5, 9))
    assert ledger.committable() is None
    ledger.finish(9)
    assert ledger.committable() is None


def test_a_finished_span_commits_one_past_its_last_offset() -> None:
    ledger = ledger_of((10, 14))
    ledger.finish(14)
    assert ledger.committable() == 15


def test_an_unfinished_span_holds_back_those_after_it_until_it_is_finished() -> None:
    ledger = ledger_of((0, 4), (5, 9), (10, 14))
    ledger.finish(4)
    ledger.finish(14)
    assert ledger.committable() == 5
    ledger.finish(9)
    assert ledger.committable() == 15


@pytest.mark.parametrize("committed", [0, 1, 31])
def test_a_single_unfinished_offset_right_after_the_committed_one_is_never_skipped(committed: int) -> None:
    """Faust issue #606: it compares `min(acked) - committed > 1`, so one unfinished record goes unnoticed."""
    ledger = ledger_of((committed, committed), (committed + 1, committed + 1))
    ledger.finish(committed + 1)
    assert ledger.committable() is None


def test_a_gap_in_the_offsets_holds_nothing_back() -> None:
    ledger = ledger_of((0, 4), (700, 704))
    ledger.finish(4)
    ledger.finish(704)
    assert ledger.committable() == 705


def test_the_committable_offset_stays_when_asked_again() -> None:
    ledger = ledger_of((0, 4))
    ledger.finish(4)
    assert [ledger.committable(), ledger.committable()] == [5, 5]


@pytest.mark.parametrize("span", [(4, 9), (0, 4), (9, 8)])
def test_a_span_that_does_not_follow_the_one_before_is_refused(span: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="does not follow"):
        ledger_of((0, 4), span)


@pytest.mark.parametrize("last", [3, 9])
def test_finishing_what_is_not_open_is_refused(last: int) -> None:
    ledger = ledger_of((0, 4))
    with pytest.raises(KeyError):
        ledger.finish(last)


@given(st.data())
def test_the_committable_offset_is_always_the_first_unfinished_one_or_the_end(data: st.DataObject) -> None:
    lengths = data.draw(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 500)), min_size=1, max_size=20))
    spans, at = [], 0
    for gap, length in lengths:
        spans.append((at + gap, at + gap + length - 1))
        at += gap + length
    ledger = ledger_of(*spans)
    unfinished = [last for _, last in spans]
    for last in data.draw(st.permutations(unfinished)):
        ledger.finish(last)
        unfinished.remove(last)
        leading = [end for _, end in spans if end < min(unfinished, default=at)]
        assert ledger.committable() == (leading[-1] + 1 if leading else None)
