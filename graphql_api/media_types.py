"""What GraphQL over HTTP says about Content-Type and Accept. Clients send one of a few texts, so answers are kept."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from starlette.types import Scope

JSON_TYPE: Final = "application/json"
GRAPHQL_TYPE: Final = "application/graphql-response+json"


def header(scope: Scope, name: bytes) -> str:
    """The first value of the request header `name`, which must be in lower case; empty if there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return ""


@lru_cache(maxsize=256)
def is_json(content_type: str) -> bool:
    """Whether it is JSON in UTF-8 and exactly one media type: browsers ask before they send that across origins."""
    media_type, _, parameters = content_type.lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    return media_type.strip() == JSON_TYPE and charset in ("", "utf-8")


@lru_cache(maxsize=256)
def preferred(accept: str) -> str:
    """The one of our two media types that `accept` prefers; application/json where it names neither."""
    chosen, best = JSON_TYPE, 0.0
    for entry in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in entry.split(";"))
        quality = next((_quality(part[2:]) for part in parameters if part.startswith("q=")), 1.0)
        if media_type in (JSON_TYPE, GRAPHQL_TYPE) and quality > best:
            chosen, best = media_type, quality
    return f"{chosen}; charset=utf-8"


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
