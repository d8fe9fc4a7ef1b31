"""Request errors of the GraphQL channel: their codes, and how any failure is presented without leaking its text.

ApiError
├── BadUserInput      the caller's arguments
└── RequestRefused    the HTTP request itself: method, media type, size, syntax; carries the HTTP status
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import aclosing
from typing import ClassVar, Final, Literal

import orjson
import structlog
from graphql import GraphQLError, GraphQLSyntaxError
from starlette.responses import Response
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.schema.schema import StreamResult
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from storage.errors import StoreUnavailable

ErrorCode = Literal[
    "BAD_USER_INPUT",
    "DOCUMENT_NOT_FOUND",
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "TIMEOUT",
    "UPSTREAM_UNAVAILABLE",
    "INTERNAL",
]
TRACE_HEADER: Final = "X-Trace-Id"

_log = structlog.get_logger(__name__)


class ApiError(Exception):
    """A failure whose text is meant for the client."""

    code: ErrorCode = "INTERNAL"
    retriable: ClassVar[bool] = False


class BadUserInput(ApiError):
    """An argument that the caller must change."""

    code = "BAD_USER_INPUT"


class RequestRefused(ApiError):
    """The request is refused before GraphQL looks at it."""

    def __init__(
        self, status: int, message: str, *, code: ErrorCode = "BAD_USER_INPUT", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers or {}


def refusal(error: RequestRefused, trace_id: str, media_type: str = "application/json; charset=utf-8") -> Response:
    """The answer to a request that never became an operation."""
    entry = {"message": str(error), "extensions": {"code": error.code, "traceId": trace_id}}
    return Response(
        orjson.dumps({"errors": [entry]}),
        status_code=error.status,
        media_type=media_type,
        headers={TRACE_HEADER: trace_id, **error.headers},
    )


def masked(errors: Sequence[GraphQLError], *, before_execution: bool, trace_id: str) -> list[GraphQLError]:
    """The errors as clients see them. Unexpected ones are hidden and logged, in one line for the whole request."""
    shown: list[GraphQLError] = []
    unexpected: BaseException | None = None
    for error in errors:
        code, message = _judge(error, before_execution)
        if code in ("INTERNAL", "UPSTREAM_UNAVAILABLE"):
            unexpected = unexpected or error.original_error or error
        extensions: dict[str, object] = {"code": code, "traceId": trace_id}
        if input_path := _input_path(error.message):
            extensions["path"] = input_path
        shown.append(
            GraphQLError(message, error.nodes, error.source, error.positions, error.path, extensions=extensions)
        )
    if unexpected is not None:
        log_failure(unexpected, trace_id)
    return shown


def log_failure(error: BaseException, trace_id: str) -> None:
    """One line for a request that failed through no fault of its caller."""
    if isinstance(error, StoreUnavailable):
        _log.warning("request failed: the store is unavailable", trace_id=trace_id, reason=str(error))
    else:
        _log.error("request failed", trace_id=trace_id, exc_info=error)


def _judge(error: GraphQLError, before_execution: bool) -> tuple[ErrorCode, str]:
    cause = error.original_error
    if isinstance(cause, ApiError):
        return cause.code, str(cause)
    if isinstance(cause, StoreUnavailable):
        return "UPSTREAM_UNAVAILABLE", "the feature store does not answer at the moment; try again"
    if isinstance(cause, CannotGetOperationTypeError | InvalidOperationTypeError | MissingQueryError):
        return "BAD_USER_INPUT", error.message
    if isinstance(cause, TimeoutError):
        return "TIMEOUT", "the request was not done in time; try again"
    if isinstance(cause, RecursionError):
        return "BAD_USER_INPUT", "the request is nested too deeply"
    if isinstance(cause, ValueError) and "integer string conversion" in str(cause):  # Python's limit of 4 300 digits
        return "BAD_USER_INPUT", "a number in the request is too long"
    if isinstance(error, GraphQLSyntaxError):
        return "GRAPHQL_PARSE_FAILED", error.message
    if cause is not None and not isinstance(cause, GraphQLError):
        return "INTERNAL", "internal error; the traceId leads to its log line"
    if before_execution and not _IN_VARIABLE.match(error.message):  # a subscription's variables are read before it
        return "GRAPHQL_VALIDATION_FAILED", error.message
    # Without a cause, execution itself speaks only of values that do not fit their declared types.
    if error.path is None or _IN_ARGUMENT.search(error.message):
        return "BAD_USER_INPUT", error.message
    return "INTERNAL", "internal error; the traceId leads to its log line"


# How graphql-core 3.3 words what it could not coerce; a test fails if that changes.
_IN_VARIABLE = re.compile(r"^Variable '\$(?P<name>\w+)' has invalid value(?: at (?P<path>[^:]+))?:")
_MISSING = re.compile(r"(?:to include required|include unknown) field '(?P<field>\w+)'")
_IN_ARGUMENT = re.compile(r"^Argument '.*' has invalid value|^Argument '.*' of (?:required )?type")


def _input_path(message: str) -> str | None:
    at = _IN_VARIABLE.match(message)
    if at is None:
        return None
    field = _MISSING.search(message, at.end())
    return at["name"] + (at["path"] or "") + (f".{field['field']}" if field else "")


async def masked_stream(results: StreamResult, trace_id: str) -> StreamResult:
    """The results with `masked` errors; an operation that cannot begin is a result as well, and the only one."""
    try:
        async with aclosing(results):
            async for result in results:
                if isinstance(result, ExecutionResult) and result.errors:
                    before_execution = isinstance(result, PreExecutionError)
                    result.errors = masked(result.errors, before_execution=before_execution, trace_id=trace_id)
                yield result
    except Exception as error:  # what the parser and the rules of ours refuse is raised here
        cause = error if isinstance(error, GraphQLError) else GraphQLError(str(error), original_error=error)
        yield PreExecutionError(data=None, errors=masked([cause], before_execution=True, trace_id=trace_id))
