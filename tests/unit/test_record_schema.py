"""The JSON Schema of the features topic against what is really published."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator, ValidationError

from features.catalogue import Catalogue, Count, Ratio, Sum, load_catalogue
from features.record_schema import record_schema
from runtime.memory_producer import MemoryProducer
from schemas.events import EVENT_TYPES
from schemas.topics import FEATURES
from streams.announcer import FeatureAnnouncer
from tests.unit.feature_world import CATALOGUE, DAY_MS, HOUR_MS, NOW_MS, Log, make_event, undo_of

NEWS = load_catalogue("examples.news_site:CATALOGUE")
CATALOGUES = {"shipped": CATALOGUE, "news site": NEWS}
Record = dict[str, Any]


def one_late_event(log: Log) -> None:
    """The emptiest state there is: its only event was too old to be counted."""
    log.send(make_event(NOW_MS - 40 * DAY_MS))


def one_bare_event(log: Log) -> None:
    log.send(make_event(NOW_MS, "share"))


def an_undone_event(log: Log) -> None:
    event = make_event(NOW_MS - HOUR_MS, "purchase", value=5.0, item_id="a", category="c")
    log.send(event)
    log.send(undo_of(event))


def every_type_with_every_field(log: Log) -> None:
    for number in range(60):
        for kind in EVENT_TYPES:
            log.send(
                make_event(
                    NOW_MS - number * 7 * HOUR_MS,
                    kind,
                    item_id=f"i{number}",
                    category=f"c{number % 7}",
                    search_term=f"s{number}",
                    list_id="l",
                    value=-1.25 if number % 9 == 0 else number * 3.1,
                    position=number,
                )
            )


def more_values_than_are_counted_exactly(log: Log) -> None:
    for number in range(1_500):
        log.send(make_event(NOW_MS - number * 1000, item_id=f"i{number}", category=f"c{number}", value=1e12))


HISTORIES: list[Callable[[Log], None]] = [
    one_late_event,
    one_bare_event,
    an_undone_event,
    every_type_with_every_field,
    more_values_than_are_counted_exactly,
]


def validator(catalogue: Catalogue) -> Draft202012Validator:
    schema = record_schema(catalogue)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


async def published(catalogue: Catalogue, history: Callable[[Log], None]) -> Record:
    log = Log(catalogue)
    history(log)
    producer = MemoryProducer()
    await FeatureAnnouncer(producer, catalogue).prepare([("ann", log.state)])()
    [record] = producer.of(FEATURES.name)
    decoded: Record = orjson.loads(record.value or b"")
    return decoded


@pytest.mark.parametrize("catalogue", CATALOGUES.values(), ids=CATALOGUES)
@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.__name__)
async def test_what_is_published_is_valid(catalogue: Catalogue, history: Callable[[Log], None]) -> None:
    record = await published(catalogue, history)
    validator(catalogue).validate(record)
    schema = record_schema(catalogue)
    assert list(record) == list(schema["properties"]), "neither more nor less than what is described"
    assert list(record["features"]) == list(schema["properties"]["features"]["properties"])


@pytest.mark.parametrize("catalogue", CATALOGUES.values(), ids=CATALOGUES)
async def test_a_field_is_nullable_exactly_if_it_is_null_for_a_user_of_whom_nothing_counted(
    catalogue: Catalogue,
) -> None:
    features = (await published(catalogue, one_late_event))["features"]
    properties = record_schema(catalogue)["properties"]["features"]["properties"]
    nullable = {name for name, schema in properties.items() if "null" in schema["type"]}
    assert nullable == {name for name, value in features.items() if value is None}
    assert nullable


@pytest.mark.parametrize("catalogue", CATALOGUES.values(), ids=CATALOGUES)
async def test_a_record_that_lacks_a_field_is_refused(catalogue: Catalogue) -> None:
    record, judge = await published(catalogue, every_type_with_every_field), validator(catalogue)
    for name in record:
        with pytest.raises(ValidationError, match=f"'{name}' is a required property"):
            judge.validate({key: value for key, value in record.items() if key != name})
    for name in record["features"]:
        lacking = copy.deepcopy(record)
        del lacking["features"][name]
        with pytest.raises(ValidationError, match=f"'{name}' is a required property"):
            judge.validate(lacking)


@pytest.mark.parametrize("catalogue", CATALOGUES.values(), ids=CATALOGUES)
async def test_a_record_with_a_value_of_another_type_is_refused(catalogue: Catalogue) -> None:
    record, judge = await published(catalogue, every_type_with_every_field), validator(catalogue)
    for name in record:
        with pytest.raises(ValidationError):
            judge.validate(record | {name: [1.5]})
    for name, value in record["features"].items():
        for other in ([1.5], 1 if isinstance(value, str) else "1", True):
            wrong = copy.deepcopy(record)
            wrong["features"][name] = other
            with pytest.raises(ValidationError):
                judge.validate(wrong)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("viewCount1h", None),
        ("viewCount1h", 1.5),
        ("recentItems", ["a", "a"]),
        ("recentItems", [f"i{number}" for number in range(21)]),
        ("topItems", [{"key": "a"}]),
        ("topItems", [{"key": f"i{number}", "score": 1.0} for number in range(6)]),
        ("firstSeenAt", "2026-01-01T00:00:00Z"),
    ],
)
async def test_what_the_catalogue_cannot_answer_is_refused(name: str, value: object) -> None:
    record = await published(CATALOGUE, one_bare_event)
    record["features"][name] = value
    with pytest.raises(ValidationError):
        validator(CATALOGUE).validate(record)


async def test_a_reader_survives_a_feature_that_is_added_later() -> None:
    record = await published(CATALOGUE, one_bare_event)
    record["features"]["brandNew"] = 1
    validator(CATALOGUE).validate(record)


async def test_a_ratio_by_a_sum_may_be_null_in_spite_of_its_prior() -> None:
    """Refunds can be sums below 0, and so cancel out the weight."""
    own = Catalogue(
        [Count("purchases", of="purchase"), Sum("money", of="purchase", value="value")],
        [Ratio("perUnit", "purchases", "money", "1h", doc="", prior=(2, 0.5))],
    )

    def minus_the_weight(log: Log) -> None:
        log.send(make_event(NOW_MS, "purchase", value=-2.0))

    record = await published(own, minus_the_weight)
    assert record["features"] == {"perUnit": None}
    validator(own).validate(record)
