"""Catalogues: what is refused, and that every refusal names the definition and the fix."""

from __future__ import annotations

from typing import Any

import pytest

from features import Catalogue, CatalogueError, load_catalogue
from features.catalogue import Count, LastDistinct, Recent, Sum, Windowed


def catalogue(measures: list[Any], features: list[Any]) -> Catalogue:
    return Catalogue(measures=measures, features=features)


VIEWS = Count("views", of="view_item")


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


def test_the_shipped_catalogue_loads() -> None:
    assert {"viewCount1h", "lastSeenAt"} <= {
        feature.name for feature in load_catalogue("features.default:CATALOGUE").features
    }
