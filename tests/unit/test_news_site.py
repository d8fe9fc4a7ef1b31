"""The example catalogue of a news site: a business of its own, in one file."""

from __future__ import annotations

import pytest

from features.catalogue import load_catalogue
from graphql_api.schema import build_schema
from tests.unit.feature_world import HOUR_MS, MINUTE_MS, NOW_MS, Log, make_event

NEWS = load_catalogue("examples.news_site:CATALOGUE")


def test_a_readers_features() -> None:
    log = Log(NEWS)
    read = [("a1", "politics", 60, 3 * HOUR_MS), ("a2", "sports", 30, 10 * MINUTE_MS), ("a3", "sports", 240, MINUTE_MS)]
    for article, section, seconds, ago_ms in read:
        log.send(make_event(NOW_MS - ago_ms, item_id=article, category=section, value=float(seconds)))
    log.send(make_event(NOW_MS - MINUTE_MS, "share", item_id="a3", category="sports"))
    follow = make_event(NOW_MS - MINUTE_MS, "sign_up", category="Ida Wells")
    log.send(follow)
    log.send(make_event(NOW_MS, "sign_up", category="Nellie Bly"))
    log.send(make_event(NOW_MS, "undo", undoes=follow.event_id, category="Ida Wells"))
    values = log.values(NOW_MS)
    assert values.pop("shareRate30d") == pytest.approx(1.5 / 53)
    assert values.pop("attention") == pytest.approx(
        60 * 0.5 ** (3 / 12) + 30 * 0.5 ** (1 / 72) + 240 * 0.5 ** (1 / 720)
    )
    top = values.pop("topSections")
    assert isinstance(top, list)
    assert [entry["key"] for entry in top] == ["sports", "politics"]
    assert values == {
        "articlesRead24h": 3,
        "readingDays30d": 1,
        "dwellSeconds7d": 330.0,
        "meanDwellSeconds7d": 110.0,
        "longestReadSeconds7d": 240.0,
        "sectionsRead7d": 2,
        "recentArticles": ["a3", "a2", "a1"],
        "authorsFollowed": ["Nellie Bly"],
        "firstSection": "politics",
        "secondsSinceLastRead": 60,
        "visitEventCount": 4,
    }


def test_its_graphql_types_follow_from_it() -> None:
    sdl = build_schema(NEWS).as_str()
    assert "topSections: ScoredListFeature!" in sdl
    assert "firstSection: StringFeature!" in sdl
