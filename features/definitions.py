"""What the definitions of a catalogue are made of: measures that the stream keeps and features that read them.

Each aggregation is a measure class in a file of its own; this file says what all of them have in common.
"""

from __future__ import annotations

import json
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Generic, Literal, NamedTuple, Protocol, TypedDict, TypeVar

import msgspec

from features.adding import Adder
from features.reading import Reader
from schemas.events import Event

ANY: Final = "any"
"""As a filter: events of every type. An undo is no event of its own, it takes one away."""

FeatureKind = Literal["int", "float", "string", "string_list", "scored_list", "timestamp"]
TextField = Literal["item_id", "category", "search_term", "list_id", "currency"]
NumberField = Literal["value", "position"]
Part = Any
"""What one measure keeps of one user, outside of cells. Mutable."""
Wire = msgspec.Struct
"""What a packed part decodes to."""
P = TypeVar("P")


_encoder = msgspec.msgpack.Encoder()


class CatalogueError(ValueError):
    """A catalogue that cannot be used; the message names the definition and the fix."""


class Scored(TypedDict):
    """One entry of a ranking."""

    key: str
    score: float


FeatureValue = int | float | str | list[str] | list[Scored] | None
"""Timestamps are milliseconds since the epoch; None where nothing is known or nothing ever happened."""


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What reading a feature gives. `reason` says why the value is missing or an estimate."""

    value: FeatureValue
    approximate: bool = False
    reason: str | None = None


class Measure(Protocol):
    """What every measure has."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def maths(self) -> int: ...
    def event_types(self) -> tuple[str, ...]:
        """The types it counts; (ANY,) for all."""

    def check(self) -> None:
        """Raises CatalogueError where the definition cannot work."""


class Base(NamedTuple):
    """What times and offsets are packed relative to: the latest of both that was folded."""

    append_ms: int
    offset: int


class PartMeasure(ABC, Generic[P]):
    """A measure that keeps a part of its own. `add` in any order gives the same part, where it does not say else."""

    name: str
    version: int
    maths: ClassVar[int] = 1
    """Rises when the same definition computes or stores something else: new maths never reads old state."""
    part_type: ClassVar[type[Part]]
    bytes_per_event: ClassVar[int] = 60
    """What an event can add to the packed part at most, apart from its texts: an integer takes up to 9."""
    wire_type: ClassVar[type[Wire] | None] = None
    """None for a part that is packed as it is."""

    @abstractmethod
    def event_types(self) -> tuple[str, ...]:
        """The types it counts; (ANY,) for all."""

    @abstractmethod
    def check(self) -> None:
        """Raises CatalogueError where the definition cannot work."""

    @abstractmethod
    def zero(self) -> P:
        """The part of a user without events."""

    @abstractmethod
    def adder(self, event_type: str) -> Adder:
        """What adds events of that type, one of those that it counts, and takes them back; a new one each time."""

    def add(self, part: P, event: Event, offset: int, append_ms: int) -> None:
        """Count an event; `append_ms` is the latest moment of the log so far."""
        if type(event) is not Event:
            raise TypeError(f"{event!r} is not an Event")
        self.adder(event.type).add(part, event, event.event_time, offset, append_ms)

    @abstractmethod
    def merge(self, left: P, right: P) -> P:
        """The part of both sets of events together; shares nothing with its arguments."""

    def prune(self, part: P, append_ms: int) -> None:
        """Drop what no later read can need. Nothing by default."""

    def start_epoch(self, part: P) -> None:
        """The topic was made anew: make offsets in the part FORGOTTEN_OFFSET, which is before all that come.

        Nothing by default.
        """

    def put(self, part: P, base: Base, out: bytearray) -> None:
        """Append the part as it is packed, relative to `base`: what decodes to its wire type."""
        assert isinstance(part, msgspec.Struct)
        out += _encoder.encode(part)

    def from_wire(self, wire: Wire, base: Base) -> P:
        """What `put` packed, for a measure with a wire type."""
        raise NotImplementedError

    def share(self, part: P) -> None:
        """Hold texts that other states hold as well, see features.texts; worth it for a state that is kept."""

    def shown(self, part: P) -> dict[str, object]:
        """What `explain` shows of the part, by name."""
        if isinstance(part, msgspec.Struct):
            return msgspec.structs.asdict(part)
        return {field.name: getattr(part, field.name) for field in fields(part)}  # type: ignore[arg-type]

    def shrink(self, part: P) -> bool:
        """Give up precision for room, as the cap of the state demands. False if there is nothing to give."""
        return False


class Measures(Protocol):
    """What a feature may ask of its catalogue while it is being resolved."""

    def cell_slot(self, feature: str, measure: str) -> int:
        """Place in the cells' vectors. Raises CatalogueError."""

    def part(self, feature: str, measure: str, kinds: type[M] | tuple[type[M], ...]) -> tuple[int, M]:
        """Place among the parts, and the measure, which is of one of `kinds`. Raises CatalogueError."""

    def adds_whole_numbers(self, slot: int) -> bool:
        """Whether the cell measure counts; sums are in millionths."""


M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Bound:
    """A feature definition with its references resolved. `hop_ms` forces a layer of that hop."""

    kind: FeatureKind
    reader: Reader
    formula: str
    measures: tuple[str, ...]
    window_ms: int | None = None
    hop_ms: int | None = None
    slots: tuple[int, ...] = ()


class FeatureDefinition(Protocol):
    """What every feature definition has."""

    @property
    def name(self) -> str: ...
    @property
    def doc(self) -> str: ...
    @property
    def version(self) -> int: ...
    def bind(self, measures: Measures) -> Bound:
        """Resolve the references. Raises CatalogueError."""


def fingerprint(measure: Measure) -> int:
    """32 bits that change with anything that changes what is stored; kept in every packed state."""
    return zlib.crc32(json.dumps(described(measure), sort_keys=True).encode())


def described(definition: object) -> dict[str, object]:
    """The definition as JSON; two definitions that describe alike compute alike.

    Words about it are left out, and so is what has its default, so that a new option changes no older definition.
    """
    entries = {field: getattr(definition, field.name) for field in fields(definition)}  # type: ignore[arg-type]
    plain = {
        field.name: _plain(value)
        for field, value in entries.items()
        if field.name == "version" or (field.name != "doc" and value != field.default)
    }
    return {"kind": type(definition).__name__, "maths": getattr(definition, "maths", 1), **plain}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Mapping):  # weights: 1 and 1.0 are the same
        return {key: float(weight) for key, weight in value.items()}
    return value
