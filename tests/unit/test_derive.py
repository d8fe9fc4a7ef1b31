"""A value alone is that of the answer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from features.catalogue import (
    Catalogue,
    Decayed,
    DecayedSum,
    Edge,
    EdgeValue,
    Extreme,
    Last,
    Ratio,
    Recent,
    Sum,
    Top,
    WindowedExtreme,
)
from features.default import CATALOGUE as DEFAULT
from features.definitions import ANY
from features.derive import derive, derive_values
from schemas.events import Event
from tests.unit.feature_world import HOUR_MS, NOW_MS, Log
from tests.unit.test_fold import PROPERTY, some_records

WEIGHTS = {"view_item": 1.5, "purchase": 4.0}
EVERY_KIND = Catalogue(
    [
        *DEFAULT.measures,
        Sum("spent", of="purchase", value="value"),
        Last("items", of=ANY, field="item_id", k=3),
        Edge("first_item", of=ANY, field="item_id", which="first"),
        Edge("last_item", of=ANY, field="item_id", which="last"),
        Extreme("largest", of="purchase", value="value", which="max"),
        Decayed("value", weights=WEIGHTS, half_life="1h", value="value"),
        Decayed("few", weights=WEIGHTS, half_life="1h", by="item_id", keys=2),
    ],
    [
        *(feature.definition for feature in DEFAULT.features),
        Ratio("meanSpent", "spent", "purchases", window="7d", doc=""),
        Recent("lastItems", "items", doc=""),
        EdgeValue("firstItem", "first_item", doc=""),
        EdgeValue("lastItem", "last_item", doc=""),
        WindowedExtreme("largest30d", "largest", window="30d", doc=""),
        DecayedSum("valueNow", "value", doc=""),
        Top("topOfFew", "few", k=1, doc=""),
    ],
)


@PROPERTY
@given(some_records(), st.integers(-48, 24 * 40))
def test_a_value_alone_is_that_of_the_answer(events: list[Event], hours: int) -> None:
    log = Log(EVERY_KIND)
    for event in events:
        log.send(event)
    now_ms = NOW_MS + hours * HOUR_MS
    assert derive_values(EVERY_KIND, log.state, now_ms) == log.values(now_ms)
    assert list(derive_values(EVERY_KIND, log.state, now_ms)) == [each.name for each in derive(EVERY_KIND, None, 0)]
