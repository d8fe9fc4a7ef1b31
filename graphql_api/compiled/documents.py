"""The query texts that were answered before, the least recently used forgotten first."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from graphql_api.compiled.plan import Plan


@dataclass(slots=True)
class Document:
    """A text; its plan, if it has one; and whether that was tried."""

    text: str
    plan: Plan | None = None
    tried: bool = False


def document_id(text: str) -> str:
    """The SHA256 hex document identifier of GraphQL over HTTP."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


class Documents:
    """At most `capacity` documents, by text and by id."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._by_text: OrderedDict[str, Document] = OrderedDict()
        self._text_by_id: dict[str, str] = {}

    def add(self, document: Document) -> None:
        """Remember `document`."""
        self._by_text[document.text] = document
        self._text_by_id[document_id(document.text)] = document.text
        if len(self._by_text) > self._capacity:
            oldest, _ = self._by_text.popitem(last=False)
            del self._text_by_id[document_id(oldest)]

    def find(self, text: str) -> Document | None:
        """The document of this text, which is used now."""
        document = self._by_text.get(text)
        if document is not None:
            self._by_text.move_to_end(text)
        return document

    def find_id(self, identifier: str) -> Document | None:
        """The document with this id, which is used now."""
        text = self._text_by_id.get(identifier)
        return None if text is None else self.find(text)
