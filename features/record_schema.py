"""The JSON Schema of the features topic's records, made from a catalogue. Pure; knows nothing of who publishes them."""

from __future__ import annotations

from typing import Any, Final

from features.catalogue import Catalogue, Feature, FeatureKind
from features.counting import DaysActive, Ratio, Sum, Windowed
from features.decayed import DecayedSum, Top
from features.definitions import FeatureDefinition
from features.distinct import DistinctCount
from features.recents import Last, LastDistinct, Recent
from features.sessions import SessionCount, SessionEvents, SessionLength
from schemas.topics import FEATURES

JsonSchema = dict[str, Any]

_KINDS: Final[dict[FeatureKind, JsonSchema]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "string": {"type": "string"},
    "string_list": {"type": "array", "items": {"type": "string"}},
    "scored_list": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"key": {"type": "string"}, "score": {"type": "number"}},
            "required": ["key", "score"],
        },
    },
    "timestamp": {"type": "integer"},
}
_NEVER_NULL: Final = (
    Windowed,
    DaysActive,
    DistinctCount,
    DecayedSum,
    Recent,
    Top,
    SessionLength,
    SessionEvents,
    SessionCount,
)
_ENVELOPE: Final[JsonSchema] = {
    "userId": {"type": "string", "minLength": 1, "description": "The user; also the record's key."},
    "version": {
        "type": "integer",
        "minimum": 0,
        "description": "Rises with every change of this user, in microseconds; the highest one is the truth.",
    },
    "epoch": {"type": "integer", "minimum": 0, "description": "Rises when the events topic is made anew."},
    "partition": {"type": "integer", "minimum": 0, "description": "Partition of the events topic."},
    "offset": {
        "type": "integer",
        "minimum": 0,
        "description": "Offset in that partition up to which the events have been counted.",
    },
    "asOf": {
        "type": "integer",
        "minimum": 0,
        "description": "The moment at which the features were derived, in ms since the epoch, UTC.",
    },
}


def record_schema(catalogue: Catalogue) -> JsonSchema:
    """JSON Schema (2020-12) of one record's value.

    Every feature of the catalogue is required and may be null only where it can have no value. Fields that it does not
    name are allowed, so that a reader survives a feature that is added later.
    """
    features = {feature.name: _feature(feature, catalogue) for feature in catalogue.features}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": FEATURES.name,
        "description": "The features of one user as of `asOf`; compacted by user, so the latest record stays.",
        "type": "object",
        "properties": {
            **_ENVELOPE,
            "features": {
                "type": "object",
                "description": "Every feature of the catalogue by name.",
                "properties": features,
                "required": list(features),
            },
        },
        "required": [*_ENVELOPE, "features"],
    }


def nullable(feature: Feature, catalogue: Catalogue) -> bool:
    """Whether the feature of a known user can be null: where nothing may have happened yet, or nothing divides."""
    match feature.definition:
        case Ratio(prior=prior):
            # A count is never below 0, so with a prior the denominator is above it; a sum may be anything.
            return prior is None or isinstance(catalogue.cell_measures[feature.slots[1]], Sum)
        case definition:
            return not isinstance(definition, _NEVER_NULL)


def _feature(feature: Feature, catalogue: Catalogue) -> JsonSchema:
    schema = {**_KINDS[feature.kind], **_bounds(feature.definition, catalogue)}
    if nullable(feature, catalogue):
        schema["type"] = [schema["type"], "null"]
    return {"description": _description(feature), **schema}


def _bounds(definition: FeatureDefinition, catalogue: Catalogue) -> JsonSchema:
    """How long a list can be, and whether a text can come twice."""
    if isinstance(definition, Top):
        return {"maxItems": definition.k}
    if not isinstance(definition, Recent):
        return {}
    _, measure = catalogue.part(definition.name, definition.measure, (Last, LastDistinct))
    return {"maxItems": measure.k, "uniqueItems": isinstance(measure, LastDistinct)}


def _description(feature: Feature) -> str:
    unit = " In ms since the epoch, UTC." if feature.kind == "timestamp" else ""
    window = "" if feature.window is None else f", over {feature.window}"
    return f"{feature.doc}{unit} Formula: {feature.formula}{window}. Version {feature.version}.".strip()
