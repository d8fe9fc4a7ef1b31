"""What the benchmarks compute: by turns, medians, wrong results, targets, and pages that hold any text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from benchmarks import graphql, ingest, report, targets, worker
from benchmarks.by_turns import by_turns
from benchmarks.consumers import compare
from benchmarks.harness import (
    HEADRACE,
    Entry,
    Measured,
    Row,
    Sample,
    Side,
    SideFailed,
    Unavailable,
    WrongResult,
    alternate,
)
from benchmarks.run import ENTRIES, Latest, UnknownBenchmark, run
from benchmarks.sides.ingest_load import client_event
from benchmarks.traffic import EVENT_BYTES, HOUR_MS, Skew, Traffic

END_MS = 1_795_000_000_000
ROOT = Path(__file__).resolve().parents[2]


def sample(case: str, cpu_us: float, items: int = 10) -> Sample:
    return Sample(case, items, wall_seconds=2 * cpu_us * items / 1e6, cpu_seconds=cpu_us * items / 1e6)


def entry(name: str, costs: dict[tuple[str, str], float]) -> Entry:
    """An entry whose rows cost so many microseconds by (case, side)."""
    rows = [Row(case, side, [sample(case, cost)]) for (case, side), cost in costs.items()]
    return Entry(name, "a title", "event", "none", rows)


def silent(line: str) -> None:
    pass


def test_sides_take_turns_and_each_second_round_goes_backwards() -> None:
    called: list[str] = []

    def side(name: str) -> Side:
        def one_run() -> Sequence[Sample]:
            called.append(name)
            return [sample("case", 1.0)]

        return Side(name, one_run)

    rows = alternate([side("a"), side("b")], 3, silent)
    assert called == ["a", "b", "b", "a", "a", "b"]
    assert [(row.side, len(row.samples)) for row in rows] == [("a", 3), ("b", 3)]


def test_a_row_shows_the_median_and_not_the_mean() -> None:
    row = Row("case", "side", [sample("case", cost) for cost in (1.0, 2.0, 90.0)])
    assert row.cpu_us == pytest.approx(2.0)
    assert row.rate == pytest.approx(1e6 / 4.0)
    assert row.cpu_us_range == pytest.approx((1.0, 90.0))


@pytest.mark.parametrize("error", [Unavailable("no wheel"), SideFailed("code 1"), WrongResult("7 instead of 8")])
def test_a_side_that_cannot_be_measured_has_a_reason_and_no_figures(error: Exception) -> None:
    runs: list[int] = []

    def fails_the_second_time() -> Sequence[Sample]:
        runs.append(1)
        if len(runs) == 2:
            raise error
        return [sample("case", 1.0)]

    good = Side("good", lambda: [sample("case", 2.0)])
    rows = alternate([good, Side("bad", fails_the_second_time)], 4, silent)
    assert len(runs) == 2
    assert [row.side for row in rows if row.samples] == ["good"]
    (bad,) = [row for row in rows if row.side == "bad"]
    assert str(error) in (bad.reason or "")


def test_counts_that_differ_from_the_truth_are_named() -> None:
    compare("the counts", {"a": 1}, {"a": 1})
    with pytest.raises(WrongResult, match="1 of 2 keys differ, such as b: None instead of 2"):
        compare("the counts", {"a": 1}, {"a": 1, "b": 2})


@pytest.mark.parametrize("skew", ["uniform", "zipf 1.1", "zipf 1.5", "one key 50 %"])
def test_traffic_is_what_its_truth_says(skew: Skew) -> None:
    traffic = Traffic(events=600, users=40, skew=skew, end_ms=END_MS)
    counts: dict[str, int] = {}
    hourly: dict[str, int] = {}
    for user_id, value in traffic.records():
        event = orjson.loads(value)
        assert len(value) == EVENT_BYTES
        assert event["userId"] == user_id
        counts[user_id] = counts.get(user_id, 0) + 1
        window = f"{user_id}@{event['eventTime'] // HOUR_MS * HOUR_MS}"
        hourly[window] = hourly.get(window, 0) + 1
    assert (counts, hourly) == (traffic.counts(), traffic.hourly_counts())
    if skew == "one key 50 %":
        assert 240 < max(counts.values()) < 360


def test_a_client_event_has_the_size_that_the_tables_name() -> None:
    assert len(json.dumps(client_event(3), separators=(",", ":"))) == EVENT_BYTES


def test_a_target_is_met_missed_or_not_measured() -> None:
    results = {
        "worker": entry(
            "worker",
            {(worker.ONE_K, HEADRACE): 2.0, (worker.ONE_K, worker.QUIX): 13.0, (worker.ONE_K, worker.BYTEWAX): 11.0},
        )
    }
    verdicts = {
        each.target.against: each for each in targets.judge(results) if each.target.what == f"worker, {worker.ONE_K}"
    }
    assert verdicts[worker.QUIX].measured == pytest.approx(6.5)
    assert [verdicts[side].met for side in (worker.QUIX, worker.BYTEWAX, worker.FAUST)] == [True, False, None]


def test_the_ceiling_is_compared_the_same_way_round_as_the_peers() -> None:
    case = ingest.on_kafka(100)
    results = {"ingest": entry("ingest", {(case, HEADRACE): 4.0, (case, ingest.BARE): 3.0})}
    (verdict,) = [each for each in targets.judge(results) if each.target.against == ingest.BARE]
    assert verdict.measured == pytest.approx(0.75)
    assert verdict.met


def test_the_fixed_cost_is_what_a_small_batch_pays_and_a_large_one_does_not() -> None:
    sides = {HEADRACE: (38.0, 0.5), ingest.CANNED: (30.0, 0.4), ingest.LOADS: (3.0, 0.4)}
    costs = {
        (ingest.alone(batch), side): fixed / batch + per_event
        for batch in (1, 1000)
        for side, (fixed, per_event) in sides.items()
    }
    results = {"ingest": entry("ingest", costs)}
    assert targets.request_cost(results, HEADRACE) == pytest.approx(sides[HEADRACE])
    assert targets.fixed_cost(results) == pytest.approx(8.0)
    assert targets.per_event_over_loads(results) == pytest.approx(1.25)
    assert targets.fixed_cost({}) is None


def test_an_event_costs_graphql_what_it_adds_to_a_request_without_any() -> None:
    costs = {
        (graphql.mutation(batch), side): fixed + batch * per_event
        for batch in (0, 100)
        for side, fixed, per_event in ((HEADRACE, 5.0, 1.0), (graphql.LOADS, 2.0, 0.5))
    }
    results = {"graphql": entry("graphql", costs)}
    assert targets.operation_fixed(results) == pytest.approx(5.0)
    assert targets.operation_event(HEADRACE)(results) == pytest.approx(2.0)
    assert targets.operation_event(graphql.UNJUDGED)(results) is None


def test_every_target_reads_an_entry_that_exists() -> None:
    assert all(verdict.measured is None for verdict in targets.judge({}))
    assert {"ingest", "worker", "path", "reads", "freshness", "growth"} < set(ENTRIES)


def test_a_page_holds_any_text_as_text() -> None:
    nasty = '<script>alert("|")</script>'
    result = Entry(nasty, nasty, "event", nasty, [Row(nasty, nasty, [sample(nasty, 3.0)]), Row("", "x", reason=nasty)])
    verdicts = targets.judge({})
    page = report.to_html([Measured({"date": nasty}, result)], verdicts)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("HTTP", "")
    table = [line for line in report.to_markdown([Measured({}, result)], verdicts).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in table if "alert" in line}) == 1
    assert orjson.loads(report.to_json([Measured({}, result)], verdicts))["entries"][0]["rows"][0][
        "cpuUs"
    ] == pytest.approx(3.0)


def test_results_of_single_entries_are_shown_together(tmp_path: Path) -> None:
    latest = Latest(tmp_path)
    for name, cost in (("worker", 2.0), ("ingest", 3.0), ("worker", 4.0)):
        latest.keep(Measured({"runs": 1}, entry(name, {("case", HEADRACE): cost})))
    found = latest.all()
    assert [each.entry.name for each in found] == ["ingest", "worker"]
    assert found[1].entry.rows[0].cpu_us == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("value", "text"), [(1234567.8, "1 234 568"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.0123, "0.012")]
)
def test_numbers_have_as_many_digits_as_they_are_worth(value: float, text: str) -> None:
    assert report.number(value) == text


def test_an_unknown_benchmark_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    with pytest.raises(UnknownBenchmark, match="no benchmark is called nothing"):
        run(tmp_path, ["nothing"], quick=True, runs=1, console=Console(), say=silent)
    assert not list(tmp_path.iterdir())


def test_checkouts_take_turns_and_one_whose_code_does_not_run_is_named(tmp_path: Path) -> None:
    costs = by_turns([ROOT, ROOT], users=20, batches=3)
    assert [len(of_root) for of_root in costs] == [3, 3]
    assert all(cost.fold_us > 0 and cost.pack_us > 0 for of_root in costs for cost in of_root)
    with pytest.raises(RuntimeError, match=f"the code in {tmp_path} does not run"):
        by_turns([ROOT, tmp_path], users=20, batches=1)
