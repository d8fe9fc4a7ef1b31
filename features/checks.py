"""What a definition is checked for when its catalogue is made; each error names the definition and the fix."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import get_args

from features.cells import parse_window
from features.definitions import ANY, CatalogueError, NumberField, TextField
from schemas.events import EVENT_TYPES


@contextmanager
def wrong_types_refused(what: str, name: str) -> Iterator[None]:
    """Raises CatalogueError where the checks of a definition stumble over an argument of another type."""
    try:
        yield
    except CatalogueError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise CatalogueError(
            f"{what} {name!r} has an argument of a wrong type ({error}); the class says what it takes"
        ) from error


def types_of(of: str | Sequence[str]) -> tuple[str, ...]:
    """One type, or several, as a tuple."""
    return (of,) if isinstance(of, str) else tuple(of)


def check_types(name: str, types: Collection[str], *, any_allowed: bool = True) -> None:
    """Raises CatalogueError for a type that events cannot have."""
    if not types:
        raise CatalogueError(f"measure {name!r} filters no event type; known: {', '.join(EVENT_TYPES)}")
    for each in types:
        if each not in EVENT_TYPES and not (any_allowed and each == ANY):
            known = ", ".join(EVENT_TYPES)
            raise CatalogueError(f"measure {name!r} filters unknown event type {each!r}; known: {known}")


def check_field(name: str, field: str, *, numbers: bool = False) -> None:
    """Raises CatalogueError for a field that events do not have."""
    known = get_args(NumberField) if numbers else get_args(TextField)
    if field not in known:
        what = "sums" if numbers else "keeps"
        raise CatalogueError(f"measure {name!r} {what} unknown field {field!r}; known: {', '.join(known)}")


def check_bound(name: str, what: str, value: int, most: int) -> None:
    """Raises CatalogueError for a size outside of 1 to `most`."""
    if type(value) is not int or not 1 <= value <= most:
        raise CatalogueError(f"{name!r}: {what} is {value!r}; use 1 to {most}, a whole number")


def window_of(feature: str, text: str, *, longest_ms: int | None = None) -> int:
    """Milliseconds of a feature's window. Raises CatalogueError."""
    try:
        window_ms = parse_window(text)
    except ValueError as error:
        raise CatalogueError(f"feature {feature!r}: {error}") from error
    if longest_ms is not None and window_ms > longest_ms:
        raise CatalogueError(
            f"feature {feature!r}: window {text!r} is longer than its layer; use at most {longest_ms // 86_400_000}d"
        )
    return window_ms
