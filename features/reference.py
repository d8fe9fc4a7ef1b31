"""Renders the reference page of a catalogue as Markdown: every feature and measure, and how to recompute them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from features.catalogue import Catalogue, Feature, FeatureKind
from features.cells import DAY_MS, HOUR_MS, LAYERS, LONGEST_WINDOW_MS
from features.counting import Count, Sum
from features.decayed import LEAST_SCORE, Decayed
from features.definitions import ANY, Measure, described
from features.distinct import EXACT_VALUES, MAX_PLACES, Distinct
from features.duplicates import HORIZON_HOURS, MAX_IDS
from features.extremes import Extreme
from features.moments import Edge, Moments
from features.recents import Last, LastDistinct
from features.sessions import Sessions
from features.sliding_hll import STANDARD_ERROR
from schemas.events import Event

KINDS: Final[dict[FeatureKind, str]] = {
    "int": "whole number",
    "float": "number",
    "string": "text",
    "string_list": "list of texts",
    "scored_list": "list of key and score",
    "timestamp": "moment",
}
REVERSED: Final = "reversed"
_UNDO: Final[dict[type[Any], str]] = {
    Count: REVERSED,
    Sum: REVERSED,
    Last: "reversed; `approximate` while an earlier value may belong back into the list",
    LastDistinct: "reversed; `approximate` while an earlier value may belong back into the list",
    Distinct: f"reversed up to {MAX_PLACES} hourly values; `approximate` beyond",
    Decayed: "reversed, unless its key was dropped for room: then `approximate`",
    Sessions: "reversed; `approximate` at a border of a session, or inside one longer than its gap",
    Moments: "reversed; `approximate` if it was the event at that end",
    Edge: "reversed; `approximate` if it was the event at that end",
    Extreme: "`approximate` if it was the extreme of its cell",
}
_WIRE_NAME: Final = {field.name: field.encode_name for field in msgspec.structs.fields(Event)}
_SHOWN_APART: Final = frozenset({"name", "kind", "maths", "version", "of", "weights", "field", "value", "by"})


def reference_page(catalogue: Catalogue, source: str, schema_link: str | None = None) -> str:
    """The page; `source` is the `module:NAME` of the catalogue, `schema_link` where its JSON Schema lies."""
    schema = "" if schema_link is None else f" The records of the features topic have a [JSON Schema]({schema_link})."
    head = f"# The features\n\nMade from `{source}` by `python -m cli.reference`.{schema}\n"
    return "\n".join([head, _features(catalogue), _measures(catalogue), _DEFINITIONS])


def undo_effect(feature: Feature, catalogue: Catalogue) -> str:
    """What an undo of an event does to the feature."""
    kinds = [type(measure) for measure in catalogue.measures if measure.name in feature.measures]
    effects = dict.fromkeys(_UNDO.get(kind, f"see `{kind.__name__}`") for kind in kinds)
    return "; ".join(effect for effect in effects if effect != REVERSED or len(effects) == 1)


def _features(catalogue: Catalogue) -> str:
    head = ("feature", "type", "meaning", "formula", "window", "hop", "covered from", "measures", "version", "undo")
    rows = [
        (
            f"`{feature.name}`",
            KINDS[feature.kind],
            feature.doc,
            f"`{feature.formula}`",
            feature.window or "",
            "" if feature.hop_ms is None else _duration(feature.hop_ms),
            _covered_from(feature),
            ", ".join(f"`{name}`" for name in feature.measures),
            str(feature.version),
            undo_effect(feature, catalogue),
        )
        for feature in catalogue.features
    ]
    return f"## Features\n\nA name in a formula is the measure of that name, over the window.\n\n{_table(head, rows)}"


def _measures(catalogue: Catalogue) -> str:
    head = ("measure", "of event types", "field", "aggregation", "version")
    rows = [
        (f"`{each.name}`", _types(each), _field(each), _aggregation(each), str(each.version))
        for each in catalogue.measures
    ]
    return f"## Measures\n\nWhat is kept of each user, event by event.\n\n{_table(head, rows)}"


def _types(measure: Measure) -> str:
    types = measure.event_types()
    if types == (ANY,):
        return "all"
    weights = measure.weights if isinstance(measure, Decayed) else {}
    return ", ".join(f"`{each}` x {weights[each]:g}" if each in weights else f"`{each}`" for each in types)


def _field(measure: Measure) -> str:
    names = (getattr(measure, attribute, None) for attribute in ("field", "value", "by"))
    return ", ".join(f"`{_WIRE_NAME[name]}`" for name in names if name is not None)


def _aggregation(measure: Measure) -> str:
    """The class and the parameters that have no column of their own."""
    parameters = [f"{name} {value}" for name, value in described(measure).items() if name not in _SHOWN_APART]
    # What has its default is not in a description.
    if isinstance(measure, Sessions):
        parameters = [f"gap {measure.gap}"]
    elif isinstance(measure, Decayed):
        parameters = [f"half-life {measure.half_life}", f"keys {measure.keys}"]
    return ", ".join([f"[{type(measure).__name__}](#{type(measure).__name__.lower()})", *parameters])


def _covered_from(feature: Feature) -> str:
    if feature.window is None or feature.hop_ms is None:
        return ""
    hop = _duration(feature.hop_ms)
    return f"floor((now - {feature.window}) / {hop}) x {hop}"


def _duration(milliseconds: int) -> str:
    for unit, length_ms in (("d", DAY_MS), ("h", HOUR_MS), ("min", 60_000)):
        if milliseconds % length_ms == 0:
            return f"{milliseconds // length_ms} {unit}"
    return f"{milliseconds} ms"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |\n" for row in lines)


_LAYER_ROWS: Final = _table(
    ("windows up to", "hop h"), [(_duration(each.longest_window_ms), _duration(each.hop_ms)) for each in LAYERS]
)
_LATE: Final = _duration(LONGEST_WINDOW_MS + DAY_MS)
_DEFINITIONS: Final = f"""\
## How a value is computed

Everything below is computed from the records of the events topic alone, so that anyone can do it again. `t` is an
event's `eventTime`; `now` is the moment of the read (`asOf`). All times are whole milliseconds since
1970-01-01T00:00Z, and `floor(a / b)` is division of whole numbers, rounded down. The topic keeps a week; for longer
windows keep your own copy.

### Which events count

1. Take the records of one user in the order of their offsets. The user is the key, so they lie in one partition.
2. Of each `eventId` (upper or lower case) the first record counts and the others are duplicates. Ids are remembered
   for {HORIZON_HOURS} hours of log time, to the hour, and at most the user's latest {MAX_IDS} of them.
3. An event whose `t` is more than {_LATE} before its record's timestamp counts nowhere.
4. A record of type `undo` is no event. It takes out the event whose `eventId` it names in `undoes`, as if that had
   never come, if that counted before and is still remembered (see 2) and `itemId`, `category`, `searchTerm`,
   `listId`, `currency`, `value` and `position` are the same in both. The undone event stays a duplicate if it is sent
   again.
5. A measure counts the events of its types; "all" is every type. One with a field skips the events without that
   field.

### Windows, hops and cells

The window decides the hop:

{_LAYER_ROWS}
Cell `i` of hop `h` holds the events with `floor(t / h) = i`. A window `W` read at `now` holds the events with

    floor(t / h) >= floor((now - W) / h)

There is no upper end: an event that a fast clock dated a little ahead counts at once. So a window is exact at its new
end and up to one hop longer than `W` at its old end. `coveredFrom` says where it really starts,

    floor((now - W) / h) x h

or the moment since which the measure counts (`countsFrom`), if that is later. Where the table of features names
another hop than the one above, that one holds. A read of an earlier moment (`at`) leaves out the cells after it.

A *day* is a UTC day, `floor(t / 1 d)`. Days active are the days of the window's cells with at least one event.

### Ratio

`(numerator + prior_weight x prior_mean) / (denominator + prior_weight)`; both sides are the sums of the same window.
Without a prior it is `numerator / denominator`, and null where the denominator is 0.

### Count

The number of events; 0 without one.

### Sum

The sum of the field, each event's number first rounded to 6 decimals; 0 without one.

### Extreme

The smallest (`min`) or largest (`max`) of the field's numbers, each rounded to 6 decimals; null without one.

### Distinct

How many different values the field has among the window's events; hop 1 h. Exact while a user has at most
{EXACT_VALUES} of them in 7 days; beyond, it may become an estimate with a standard error of {STANDARD_ERROR:.1%},
and then says `approximate`.

### Last

The field's last `k` values, newest by (`t`, offset) first.

### LastDistinct

The same with each value once, at its newest place.

### Decayed

For each value of the field, or in total, the sum over events of `weight x 0.5 ^ ((now - t) / half-life)`; with a
number field `weight x number x 0.5 ^ ...`. A list holds the `k` highest, scores rounded to 6 decimals and at least
{LEAST_SCORE}, equal scores in the order of their keys. At most 2 x `keys` keys are tracked: beyond, the lowest fall
away until `keys` are left, and the list says `approximate` while what was lost could still be seen.

### Sessions

A *session* is a maximal run of events with gaps of at most `gap`, by `t`: a late event can join two. The *current*
session is the one whose last event is at most `gap` before `now`; its length is `floor((last t - first t) / 1 s)`.
Without one, length and number of events are 0. Sessions are kept for 7 days; those of a window are the ones whose
last event lies in its cells; hop 1 h.

### Moments

The earliest and the latest `t`, over all time; null without an event. Seconds since is `floor((now - t) / 1 s)`, at
least 0.

### Edge

The field's value at the first or last place by (`t`, offset), over all time; null without one.

### Undo

"Reversed" means: after an undo the value is what it would be if the event had never come. Where that cannot be known
any more, the answer says `approximate`, and why in `reason`.
"""
