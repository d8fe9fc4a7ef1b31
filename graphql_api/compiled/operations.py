"""Answers requests by the plans of the texts that were seen before."""

from __future__ import annotations

from typing import Final

import msgspec
import strawberry
import structlog
from strawberry.types import ExecutionResult

from features.catalogue import Catalogue
from graphql_api.compiled.documents import Document, Documents
from graphql_api.compiled.errors import NotCompiled, Replay
from graphql_api.compiled.plan import UNDECODABLE, Plan, compile_text
from graphql_api.context import RequestContext
from graphql_api.schema import CACHED_QUERY_CHARS
from runtime import metrics

_log = structlog.get_logger(__name__)
_COMPILED, _REPLAYED, _INTERPRETED = (metrics.OPERATIONS.labels(way) for way in ("compiled", "replayed", "interpreted"))


class _Envelope(msgspec.Struct, rename="camel", gc=False):
    """What tells the document of a body; the rest is skipped."""

    query: str | None = None
    document_id: str | None = None


_decode: Final = msgspec.json.Decoder(_Envelope).decode


def _envelope(body: bytes) -> _Envelope:
    """What `body` says before its variables, which are most of it; the plan looks at what comes after."""
    place = body.find(b'"variables"')
    if place > 0:
        try:
            envelope = _decode(body[:place].rstrip(b", \t\r\n") + b"}")
        except UNDECODABLE:
            return _decode(body)
        if envelope.query or envelope.document_id:
            return envelope
    return _decode(body)


class Operation(msgspec.Struct, frozen=True):
    """A request, the plan of its document, and the id if it named the document by that."""

    plan: Plan
    document_id: str | None
    body: bytes


class Operations:
    """The `capacity` documents of a schema that were used last, and their plans."""

    def __init__(self, schema: strawberry.Schema, catalogue: Catalogue, *, capacity: int) -> None:
        self._schema = schema._schema
        self._catalogue = catalogue
        self._capacity = capacity
        self._documents = Documents(capacity)

    def learn(self, text: str) -> None:
        """Remember `text`, which Strawberry found valid; compile it when it comes again.

        Texts that hold their arguments never do, and compiling takes half as long as answering.
        """
        if not self._capacity or len(text) > CACHED_QUERY_CHARS:
            return
        document = self._documents.find(text)
        if document is None:
            self._documents.add(Document(text))
        elif not document.tried:
            document.tried = True
            try:
                document.plan = compile_text(text, self._schema, self._catalogue)
            except NotCompiled:
                pass
            except Exception as error:  # the text has been answered, and can be without a plan
                _log.error("a text could not be compiled", text=text, exc_info=error)

    def text_of(self, document_id: str) -> str | None:
        """The text with this id, if it was sent before."""
        document = self._documents.find_id(document_id)
        return None if document is None else document.text

    def find(self, body: bytes) -> Operation | None:
        """What `body` asks for, if the plan of its document is known."""
        found = self._find(body)
        if found is None:
            _INTERPRETED.inc()
        return found

    async def execute(self, operation: Operation, context: RequestContext) -> ExecutionResult | None:
        """What Strawberry would answer; None if it has to be asked. Nothing has been written then."""
        plan = operation.plan
        try:
            value = await plan.run(plan.variables(operation.body, operation.document_id), context)
        except Replay:
            _REPLAYED.inc()
            return None
        except Exception as error:
            _COMPILED.inc()
            return ExecutionResult(data=None, errors=[plan.located(error)])
        _COMPILED.inc()
        return ExecutionResult(data={plan.key: value}, errors=None)

    def _find(self, body: bytes) -> Operation | None:
        try:
            envelope = _envelope(body)
        except UNDECODABLE:
            return None
        if envelope.query:
            document, document_id = self._documents.find(envelope.query), None
        else:
            document_id = envelope.document_id
            document = self._documents.find_id(document_id) if document_id else None
        if document is None or document.plan is None:
            return None
        return Operation(document.plan, document_id, body)
