"""The reference page of the features: that it is made from the catalogue, and that what it says is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from cli import reference
from cli.system import ROOT
from features.catalogue import Catalogue, CatalogueError, Count, Windowed, load_catalogue
from features.definitions import FeatureKind, PartMeasure
from features.derive import DerivedFeature, derive
from features.reference import KINDS, REVERSED, reference_page, undo_effect
from tests.unit.feature_world import CATALOGUE, DAY_MS, HOUR_MS, MINUTE_MS, NOW_MS, Log, make_event, undo_of

NEWS = load_catalogue("examples.news_site:CATALOGUE")
PAGE = reference_page(CATALOGUE, reference.SHIPPED)
UNITS = {"m": MINUTE_MS, "min": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS}


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """The table below `heading` by its first column."""
    section = page.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return {
        cells[0].strip("`"): cells for cells in ([cell.strip() for cell in line[1:-1].split(" | ")] for line in lines)
    }


def milliseconds(text: str) -> int:
    """Of `5m` or `1 min`."""
    match = re.fullmatch(r"(\d+) ?([a-z]+)", text)
    assert match is not None, text
    return int(match[1]) * UNITS[match[2]]


@pytest.mark.parametrize("name", [reference.PAGE, reference.SCHEMA])
def test_the_committed_file_is_what_the_catalogue_says(name: str) -> None:
    made = reference.documents(reference.SHIPPED)[name]
    committed = ROOT / reference.DIRECTORY / name
    assert committed.read_text() == made, f"{name} is stale; run: python -m cli.reference"


def test_both_files_of_another_catalogue_are_written_where_one_says(tmp_path: Path) -> None:
    reference.write("examples.news_site:CATALOGUE", tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {reference.PAGE, reference.SCHEMA}
    assert "`articlesRead24h`" in (tmp_path / "new" / reference.PAGE).read_text()
    with pytest.raises(CatalogueError, match="nowhere"):
        reference.write("nowhere:CATALOGUE", tmp_path)


@pytest.mark.parametrize("catalogue", [CATALOGUE, NEWS], ids=["shipped", "news site"])
def test_every_feature_and_every_measure_has_a_full_row(catalogue: Catalogue) -> None:
    page = reference_page(catalogue, "x:y")
    features, measures = rows(page, "Features"), rows(page, "Measures")
    assert list(features) == [feature.name for feature in catalogue.features]
    assert list(measures) == [measure.name for measure in catalogue.measures]
    for feature in catalogue.features:
        row = features[feature.name]
        assert row[1] == KINDS[feature.kind]
        assert row[2] == feature.doc
        assert row[3] == f"`{feature.formula}`"
        assert row[9], "what an undo does is said of every feature"
        assert "see `" not in row[9]
    headings = set(re.findall(r"^### (\w+)$", page, re.MULTILINE))
    assert {type(measure).__name__ for measure in catalogue.measures} <= headings


def test_every_aggregation_is_defined_on_the_page() -> None:
    parts = {kind.__name__ for kind in _leaves(PartMeasure)}
    assert parts | {"Count", "Sum"} <= set(re.findall(r"^### (\w+)$", PAGE, re.MULTILINE))


def _leaves(kind: type[Any]) -> set[type[Any]]:
    below: list[type[Any]] = [leaf for child in kind.__subclasses__() for leaf in _leaves(child)]
    return set(below) or ({kind} if kind.__module__.startswith("features.") else set())


def test_covered_from_is_what_a_read_says() -> None:
    covered = {feature.name: feature.covered_from_ms for feature in derive(CATALOGUE, Log().state, NOW_MS)}
    for name, row in rows(PAGE, "Features").items():
        window, hop, formula = row[4:7]
        assert (covered[name] is None) == (window == "") == (formula == "")
        if window:
            assert formula == f"floor((now - {window}) / {hop}) x {hop}"
            assert covered[name] == (NOW_MS - milliseconds(window)) // milliseconds(hop) * milliseconds(hop)


def test_fields_have_the_names_that_they_have_on_the_wire() -> None:
    measures = rows(PAGE, "Measures")
    assert measures["viewed_items"][1:] == ["`view_item`", "`itemId`", "[LastDistinct](#lastdistinct), k 20", "1"]
    assert measures["revenue"][1:] == ["`purchase`", "`value`", "[Sum](#sum)", "1"]
    assert measures["events"][1] == "all"
    assert measures["category_interest"][1] == "`view_item` x 1, `add_to_cart` x 3, `purchase` x 10"


def test_a_feature_that_is_said_to_be_reversed_is_as_if_the_event_had_never_come() -> None:
    reversed_names = {each.name for each in CATALOGUE.features if undo_effect(each, CATALOGUE) == REVERSED}
    assert {"viewCount1h", "revenue30d", "cartRate7d", "daysActive30d"} <= reversed_names
    assert not {"recentItems", "firstSeenAt", "sessionCount7d"} & reversed_names
    kinds = ("view_item", "add_to_cart", "purchase", "select_item", "view_item_list")
    log = Log()
    for number, kind in enumerate(kinds * 2):
        log.send(make_event(NOW_MS - number * 3 * HOUR_MS, kind, item_id=f"i{number}", value=9.99))
    before = answers(log, reversed_names)
    undone = [make_event(NOW_MS - 2 * DAY_MS, kind, item_id="x", category="c", value=0.1) for kind in kinds]
    for event in undone:
        log.send(event)
    assert answers(log, reversed_names) != before
    for event in undone:
        log.send(undo_of(event))
    after = answers(log, reversed_names)
    assert [each.value for each in after] == [each.value for each in before]
    assert not any(each.approximate for each in after)


def answers(log: Log, names: set[str]) -> list[DerivedFeature]:
    return derive(log.catalogue, log.state, NOW_MS, names)


def test_a_bar_in_a_text_does_not_end_the_cell() -> None:
    page = reference_page(Catalogue([Count("c", of="share")], [Windowed("x", "c", "1h", doc="a | b")]), "x:y")
    assert "a \\| b" in page


def test_every_kind_of_value_has_a_name() -> None:
    assert set(KINDS) == set(get_args(FeatureKind))
