"""Catalogues: what is refused, and that every refusal names the definition and the fix."""

from __future__ import annotations

import math
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from features import Catalogue, CatalogueError, load_catalogue
from features.catalogue import (
    Count,
    DaysActive,
    Decayed,
    DecayedSum,
    Distinct,
    DistinctCount,
    Edge,
    Extreme,
    LastDistinct,
    Moments,
    Ratio,
    Recent,
    SeenAt,
    SessionCount,
    Sessions,
    Sum,
    Top,
    Windowed,
)
from features.definitions import Bound, Measures


def catalogue(measures: list[Any], features: list[Any]) -> Catalogue:
    return Catalogue(measures=measures, features=features)


VIEWS = Count("views", of="view_item")
ITEMS = Decayed("items", weights={"view_item": 1}, half_life="1h", by="item_id")
ALL = Decayed("all", weights={"view_item": 1}, half_life="1h")
DISTINCT = Distinct("distinct", of="view_item", field="item_id")


@dataclass
class ByFunction:
    """A definition that gives a function where a Reader is asked for."""

    name: str
    doc: str = ""
    version: int = 1

    def bind(self, measures: Measures) -> Bound:
        return Bound("int", len, "", ("views",))  # type: ignore[arg-type]


def ratio(prior: Any) -> Ratio:
    return Ratio("r", "views", "views", window="1h", doc="", prior=prior)


def test_features_keep_the_order_of_their_definitions() -> None:
    made = catalogue([VIEWS], [Windowed(name, "views", "1h", doc="") for name in ("b", "a")])
    assert [feature.name for feature in made.features] == ["b", "a"]


@pytest.mark.parametrize(
    ("measures", "features", "message"),
    [
        ([VIEWS, VIEWS], [], "two measures are called 'views'; rename one"),
        ([VIEWS], [Windowed("x", "views", "1h", doc=""), Windowed("x", "views", "5m", doc="")], "two features .* 'x'"),
        (
            [VIEWS],
            [Windowed("x", "vews", "1h", doc="")],
            "feature 'x' reads unknown measure 'vews'.*did you mean 'views'",
        ),
        ([VIEWS], [Recent("x", "views", doc="")], "feature 'x' reads 'views'"),
        ([VIEWS], [Windowed("x", "views", "31d", doc="")], "feature 'x': .*at most 30d"),
        ([VIEWS], [Windowed("x", "views", "soon", doc="")], "feature 'x': .*write for example"),
        ([Count("c", of="view_itm")], [], "measure 'c' .*'view_itm'.*view_item"),
        ([Sum("s", of="purchase", value="price")], [], "measure 's' .*'price'.*value, position"),  # type: ignore[arg-type]
        ([LastDistinct("l", of="search", field="term", k=5)], [], "measure 'l' .*'term'.*search_term"),  # type: ignore[arg-type]
        ([LastDistinct("l", of="search", field="search_term", k=101)], [], "'l': k is 101; use 1 to 100"),
        ([LastDistinct("l", of="search", field="search_term", k=0)], [], "'l': k is 0; use 1 to 100"),
        ([Count("c", of="undo")], [], "measure 'c' .*'undo'"),
        ([Count("c", of=())], [], "measure 'c' filters no event type"),
        ([Extreme("e", of="purchase", value="price", which="max")], [], "measure 'e' .*'price'"),  # type: ignore[arg-type]
        ([Extreme("e", of="purchase", value="value", which="mid")], [], "'e' .*use min or max"),  # type: ignore[arg-type]
        ([Edge("e", of="search", field="search_term", which="best")], [], "'e' .*first or last"),  # type: ignore[arg-type]
        ([Sessions("s", gap="1m")], [], "'s': gap is '1m'; use 15m to 1d"),
        ([Sessions("s", gap="soon")], [], "'s': gap: .*write for example"),
        ([Decayed("d", weights={}, half_life="1h")], [], "'d' filters no event type"),
        ([Decayed("d", weights={"any": 1}, half_life="1h")], [], "'d' .*unknown event type 'any'"),
        ([Decayed("d", weights={"search": 0}, half_life="1h")], [], "'d': weight 0 of search must be above 0"),
        ([Decayed("d", weights={"search": 1}, half_life="1y")], [], "'d': half-life: .*write for example"),
        ([Decayed("d", weights={"search": 1}, half_life="1h", keys=201)], [], "'d': keys is 201; use 1 to 200"),
        ([ITEMS], [Top("t", "items", k=51, doc="")], "'t': k is 51; use 1 to 50"),
        ([ITEMS], [DecayedSum("t", "items", doc="")], "'t' sums 'items', which is by item_id; use Top"),
        ([ALL], [Top("t", "all", k=1, doc="")], "'t' ranks 'all', which has no `by`"),
        ([VIEWS], [Ratio("r", "views", "carts", window="1h", doc="")], "'r' reads unknown measure 'carts'"),
        ([VIEWS], [Ratio("r", "views", "views", window="1h", doc="", prior=(0, 1))], "'r': prior weight 0.* be above"),
        ([Sum("s", of="purchase", value="value")], [DaysActive("d", "s", window="7d", doc="")], "'d' needs a Count"),
        ([DISTINCT], [DistinctCount("d", "distinct", window="8d", doc="")], "'d': window '8d' .*use at most 7d"),
        ([Sessions("s")], [SessionCount("c", "s", window="30d", doc="")], "'c': window '30d' .*use at most 7d"),
        ([Moments("m")], [SeenAt("x", "m", "middle", doc="")], "'x' reads the 'middle' moment"),  # type: ignore[arg-type]
        ([Windowed("x", "views", "1h", doc="")], [], "is not a measure; features go into `features`"),
        ([VIEWS], [VIEWS], "is not a feature; measures go into `measures`"),
        ([VIEWS], [ByFunction("viewCount")], "which is no Reader"),
        ([VIEWS], [Windowed("no spaces", "views", "1h", doc="")], "'no spaces' .*letters, digits"),
        ([VIEWS], [Windowed("x", "views", "1h", doc="", version=0)], "'x' has version 0; use 1 or more"),
        ([VIEWS], [Windowed("x", "views", "1h", doc="", version=1.5)], "'x' has version 1.5; use 1 or more"),  # type: ignore[arg-type]
        ([VIEWS], [Windowed("x", "views", 3600, doc="")], "'x': window 3600 is not a duration; write for ex"),  # type: ignore[arg-type]
        ([VIEWS], [Windowed("x", "views", "1h", doc=5)], "'x': doc is 5; use a text"),  # type: ignore[arg-type]
        ([VIEWS], [Windowed("x", 5, "1h", doc="")], "feature 'x' has an argument of a wrong type"),  # type: ignore[arg-type]
        ([Count(5, of="share")], [], "5 is no name"),  # type: ignore[arg-type]
        ([Count("c", of=5)], [], "measure 'c' has an argument of a wrong type .*int"),  # type: ignore[arg-type]
        ([Sessions("s", gap=30)], [], "'s': gap: window 30 is not a duration"),  # type: ignore[arg-type]
        ([Decayed("d", weights={"search": "1"}, half_life="1h")], [], "measure 'd' has an argument of a wrong"),  # type: ignore[dict-item]
        ([Decayed("d", weights={"search": 1e10}, half_life="1h")], [], "'d': weight 1.*of search .* at most 1e"),
        ([Decayed("d", weights={"search": math.nan}, half_life="1h")], [], "'d': weight nan of search must be"),
        ([Decayed("d", weights={"search": 1}, half_life="1h", keys=20.0)], [], "'d': keys is 20.0; .*a whole number"),  # type: ignore[arg-type]
        ([ITEMS], [Top("t", "items", k=2.0, doc="")], "'t': k is 2.0; use 1 to 50, a whole number"),  # type: ignore[arg-type]
        ([ITEMS], [Top("t", "items", k="2", doc="")], "'t': k is '2'; use 1 to 50, a whole number"),  # type: ignore[arg-type]
        ([VIEWS], [ratio((1e308, 1e308))], r"'r': prior \(1e\+308, 1e\+308\) is too large"),
        ([VIEWS], [ratio((math.inf, 1))], r"'r': prior is \(inf, 1\); use \(weight, mean\), two finite"),
        ([VIEWS], [ratio((20, math.nan))], r"'r': prior is \(20, nan\); use \(weight, mean\)"),
        ([VIEWS], [ratio(20)], r"'r': prior is 20; use \(weight, mean\)"),
        ([VIEWS], [ratio((20, -3))], "'r': prior mean -3 must be at least 0"),
        ([Count(f"c{n}", of="share") for n in range(33)], [], "33 counts and sums; .*room for 32"),
    ],
)
def test_a_bad_definition_is_refused_with_its_name_and_the_fix(
    measures: list[Any], features: list[Any], message: str
) -> None:
    with pytest.raises(CatalogueError, match=message):
        catalogue(measures, features)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nowhere.at_all:CATALOGUE", "cannot load catalogue 'nowhere.at_all:CATALOGUE'"),
        ("features.default:NOPE", "NOPE"),
        ("features.default", "cannot load catalogue"),
        ("", "cannot load catalogue"),
        ("features.cells:LAYERS", "is a tuple, not a Catalogue"),
    ],
)
def test_a_reference_that_names_no_catalogue_is_refused(reference: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        load_catalogue(reference)


def test_a_catalogue_without_features_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty_shop.py").write_text("from features.catalogue import Catalogue\nCATALOGUE = Catalogue([], [])\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CatalogueError, match=r"empty_shop\.py has no features; give it one"):
        load_catalogue("empty_shop:CATALOGUE")


def test_the_shipped_catalogue_loads() -> None:
    assert {"viewCount1h", "lastSeenAt"} <= {
        feature.name for feature in load_catalogue("features.default:CATALOGUE").features
    }


def test_a_definition_error_in_a_file_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad_shop.py").write_text(
        "from features.catalogue import Catalogue, Count\nCATALOGUE = Catalogue(measures=[Count('c', of='vew_item')])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(CatalogueError, match=r"bad_shop\.py:2: measure 'c' .*'vew_item'"):
        load_catalogue("bad_shop:CATALOGUE")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Count('views', on='view_item')", r"file\.py:4: TypeError: .*'on'; Count\(name: .* of: .* version: "),
        ("prices['tea']", r"file\.py:4: KeyError: 'tea'"),
        ("open('/nowhere/at/all')", r"file\.py:4: FileNotFoundError: "),
        ("import json; json.loads('{')", r"file\.py:4: JSONDecodeError: "),
        ("import no_such_module", r"file\.py:4: ModuleNotFoundError: "),
        ("1 +", r"file\.py:4: SyntaxError: "),
        ("other.fail()", r"other\.py:2: ZeroDivisionError: "),
        ("pass", r"file\.py defines no CATALOGUE"),
    ],
)
def test_whatever_goes_wrong_in_a_file_names_the_line(
    line: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"file_{uuid.uuid4().hex}"
    (tmp_path / f"{module}.py").write_text(
        f"import other\nfrom features.catalogue import Count\nprices = {{}}\n{line}\n"
    )
    (tmp_path / "other.py").write_text("def fail():\n    1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "other", raising=False)
    with pytest.raises(CatalogueError, match=message.replace("file", module)):
        load_catalogue(f"{module}:CATALOGUE")


def test_the_names_of_the_shipped_catalogue_are_contract() -> None:
    names = (
        "viewCount5m viewCount1h viewCount24h viewCount7d viewCount30d cartAddCount1h cartAddCount24h cartAddCount7d "
        "purchaseCount24h purchaseCount30d revenue7d revenue30d averageOrderValue30d distinctItemsViewed24h "
        "distinctItemsViewed7d cartRate7d purchaseRate30d clickThroughRate24h recentItems recentSearches topCategories "
        "topItems sessionLengthSeconds sessionEventCount sessionCount7d daysActive30d firstSeenAt lastSeenAt "
        "secondsSinceLastPurchase"
    )
    shipped = load_catalogue("features.default:CATALOGUE")
    assert [feature.name for feature in shipped.features] == names.split()
