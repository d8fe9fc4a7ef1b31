"""GraphQL over HTTP and its streams: Strawberry's view made strict, so that nothing a client sends becomes a 500.

Subscriptions go over graphql-transport-ws (see graphql_api.sockets) or graphql-sse (see graphql_api.event_stream).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, TypeVar

import orjson
import strawberry
from cross_web import AsyncHTTPRequestAdapter, HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.asgi import GraphQL
from strawberry.exceptions import MissingQueryError
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType
from uuid_utils import uuid7

from graphql_api.compiled.documents import document_id
from graphql_api.compiled.operations import Operations
from graphql_api.context import RequestContext
from graphql_api.errors import TRACE_HEADER, RequestRefused, log_failure, masked, refusal
from graphql_api.event_stream import EventStream
from graphql_api.graphiql import graphiql_page
from graphql_api.ingest import Ingest
from graphql_api.media_types import GRAPHQL_TYPE, JSON_TYPE, header, is_json, preferred
from graphql_api.messages import Reply, read_body, replayed
from graphql_api.reads import Reads
from graphql_api.sockets import Socket, TransportWSHandler, close_socket
from graphql_api.watch import Hub
from runtime import metrics

T = TypeVar("T")
_TRACE_ID: Final = "headrace.trace_id"  # key in the ASGI scope
_INIT_SECONDS: Final = 10  # a socket that says nothing is closed; the reference client speaks at once
_INTERNAL_ERROR: Final = 1011  # registered close code


class GraphQLView(GraphQL[RequestContext, None]):
    """Serves `schema`; its resolvers find `ingest`, `reads` and `hub` in their context.

    A socket runs at most `max_subscriptions` operations at a time.
    """

    websocket_adapter_class = Socket
    graphql_transport_ws_handler_class = TransportWSHandler

    def __init__(
        self,
        schema: strawberry.Schema,
        *,
        ingest: Ingest,
        reads: Reads,
        operations: Operations,
        hub: Hub,
        timeout_seconds: float,
        max_subscriptions: int,
    ) -> None:
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            connection_init_wait_timeout=timedelta(seconds=_INIT_SECONDS),
            max_subscriptions_per_connection=max_subscriptions,
        )
        self._ingest = ingest
        self._reads = reads
        self._operations = operations
        self._hub = hub
        self._timeout_seconds = timeout_seconds
        self._wants_stream = lru_cache(maxsize=256)(self._is_stream)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        trace_id = scope[_TRACE_ID] = uuid7().hex
        if scope["type"] == "websocket":
            await self._converse(WebSocket(scope, receive, send), trace_id)
            return
        began = time.perf_counter()
        response: ASGIApp
        try:
            try:
                response = await self._answer(scope, receive)
            finally:
                metrics.REQUEST_SECONDS.observe(time.perf_counter() - began)
        except ClientDisconnect:
            return
        except RequestRefused as error:
            response = refusal(error, trace_id, _media_type(scope))
        except HTTPException as error:
            response = refusal(RequestRefused(error.status_code, error.reason), trace_id, _media_type(scope))
        except Exception as error:
            log_failure(error, trace_id)
            failure = RequestRefused(500, "internal error; the traceId leads to its log line", code="INTERNAL")
            response = refusal(failure, trace_id, _media_type(scope))
        try:
            await response(scope, receive, send)
        finally:
            if isinstance(response, EventStream):
                await response.close()

    async def _converse(self, socket: WebSocket, trace_id: str) -> None:
        try:
            await self.run(socket)
        except WebSocketDisconnect:
            return
        except Exception as error:
            log_failure(error, trace_id)
            await close_socket(socket, _INTERNAL_ERROR, f"internal error; traceId {trace_id}")

    async def _answer(self, scope: Scope, receive: Receive) -> ASGIApp:
        method, accept = scope["method"], header(scope, b"accept")
        if method == "POST" and is_json(header(scope, b"content-type")) and not self._wants_stream(accept):
            body = await read_body(receive)
            return await self._compiled(scope, accept, body) or await self.run(Request(scope, replayed(body, receive)))
        if method not in ("GET", "POST"):
            raise RequestRefused(405, "GraphQL takes GET and POST", headers={"Allow": "GET, POST"})
        request = Request(scope, receive)
        if method == "GET" and "query" not in request.query_params and "text/html" in accept:
            return graphiql_page()
        return await self.run(request)

    async def _compiled(self, scope: Scope, accept: str, body: bytes) -> Reply | None:
        """The answer, if the request's text is known and nothing about it is unusual."""
        operation = self._operations.find(body)
        if operation is None:
            return None
        trace_id = scope[_TRACE_ID]
        context = RequestContext(self._ingest, self._reads, self._hub, trace_id)
        answer = self._operations.execute(operation, context)
        result = await (answer if operation.plan.has_deadline else self._in_time(answer))
        if result is None:
            return None
        return _reply(_presented(_with_masked_errors(result, trace_id)), preferred(accept), trace_id)

    def _is_stream(self, accept: str) -> bool:
        return self._get_stream_transport_from_headers({"accept": accept}) is not None

    async def _in_time(self, answer: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await answer
        except TimeoutError as error:
            raise RequestRefused(504, "the request was not done in time; try again", code="TIMEOUT") from error

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> RequestContext:
        return RequestContext(self._ingest, self._reads, self._hub, request.scope[_TRACE_ID])

    async def on_ws_connect(self, context: RequestContext) -> dict[str, object]:
        return {"traceId": context.trace_id}

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        response = await super().get_sub_response(request)
        response.headers[TRACE_HEADER] = request.scope[_TRACE_ID]
        response.media_type = _media_type(request.scope)
        return response

    async def parse_http_body(self, request: AsyncHTTPRequestAdapter) -> GraphQLRequestData:
        data: Any
        stream = self._get_stream_transport_from_headers(request.headers)
        if request.method == "GET":
            data = self._query_parameters(request.query_params)
        else:
            if not is_json(request.content_type or ""):
                reason = f"the Content-Type must be {JSON_TYPE}, in UTF-8"
                raise RequestRefused(415, reason, headers={"Accept": JSON_TYPE})
            data = _decode(await request.get_body(), "the request body")
        if not isinstance(data, dict):
            raise RequestRefused(400, "the request body must be a JSON object")
        for name, kind, what in _PARAMETERS:
            if not isinstance(data.get(name), kind | None):
                raise RequestRefused(400, f"`{name}` must be {what}")
        return GraphQLRequestData(
            query=self._text(data.get("query"), data.get("documentId")),
            variables=data.get("variables"),
            operation_name=data.get("operationName"),
            extensions=data.get("extensions"),
            protocol="http" if stream is None else stream.protocol,
        )

    def _text(self, query: str | None, identifier: str | None) -> str:
        """The document of a request: https://github.com/graphql/graphql-over-http, appendix A."""
        if query and identifier and identifier != document_id(query):
            raise RequestRefused(400, "`documentId` is not `sha256:` and the SHA-256 of `query` in hexadecimal")
        if query:
            return query
        if not identifier:
            raise RequestRefused(400, "`query` is missing")
        text = self._operations.text_of(identifier)
        if text is None:
            reason = "this document is not known here (any more): send its text once as `query`"
            raise RequestRefused(404, reason, code="DOCUMENT_NOT_FOUND")
        return text

    def _query_parameters(self, parameters: Mapping[str, str | list[str] | None]) -> dict[str, object]:
        data: dict[str, object] = dict(parameters)
        for name in ("variables", "extensions"):
            text = data.get(name)
            if isinstance(text, str):
                data[name] = _decode(text, f"`{name}`") if text else None
        return data

    async def execute_single(
        self,
        request: Request,
        request_adapter: AsyncHTTPRequestAdapter,
        sub_response: Response,
        context: RequestContext,
        root_value: None,
        request_data: GraphQLRequestData,
    ) -> ExecutionResult:
        try:
            execution = self.schema.execute(
                request_data.query,
                variable_values=request_data.variables,
                context_value=context,
                operation_name=request_data.operation_name,
                allowed_operation_types=OperationType.from_http(request_adapter.method) - {OperationType.SUBSCRIPTION},
            )
            result = await self._in_time(execution)
        except MissingQueryError as error:
            raise RequestRefused(400, "`query` is missing") from error
        except CannotGetOperationTypeError as error:
            raise RequestRefused(400, error.as_http_error_reason()) from error
        except InvalidOperationTypeError as error:
            if error.operation_type is OperationType.SUBSCRIPTION:
                how = "a subscription is a stream: send `Accept: text/event-stream`, or use a WebSocket"
                raise RequestRefused(406, how) from error
            reason = error.as_http_error_reason(request_adapter.method)
            raise RequestRefused(405, reason, headers={"Allow": "POST"}) from error
        if request_data.query is not None and not isinstance(result, PreExecutionError):
            self._operations.learn(request_data.query)
        return _with_masked_errors(result, context.trace_id)

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        return _presented(result)

    def decode_json(self, data: str | bytes) -> object:
        return orjson.loads(data)

    def encode_json(self, data: object) -> str:
        return orjson.dumps(data).decode()

    async def create_streaming_response(
        self,
        request: Request | WebSocket,
        stream: Callable[[], AsyncIterator[str]],
        sub_response: Response,
        headers: Mapping[str, str],
    ) -> Response:
        return EventStream(stream(), self._hub, headers={**sub_response.headers, **headers})

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response
    ) -> Response:
        media_type, trace_id = sub_response.media_type or JSON_TYPE, sub_response.headers[TRACE_HEADER]
        headers = {"content-type": media_type, TRACE_HEADER: trace_id}
        status = _status(response_data, media_type)
        return Response(orjson.dumps(response_data), status_code=status, headers=headers)


def _with_masked_errors(result: ExecutionResult, trace_id: str) -> ExecutionResult:
    if result.errors:
        before_execution = isinstance(result, PreExecutionError)
        result.errors = masked(result.errors, before_execution=before_execution, trace_id=trace_id)
    return result


def _presented(result: ExecutionResult) -> GraphQLHTTPResponse:
    if not result.errors:
        return {"data": result.data}
    errors: list[object] = [error.formatted for error in result.errors]
    # Without a path an error is about the request, and the specification wants no `data` entry then.
    refused = isinstance(result, PreExecutionError) or all(error.path is None for error in result.errors)
    if result.data is None and refused:
        return {"errors": errors}
    return {"errors": errors, "data": result.data}


def _status(data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], media_type: str) -> int:
    return 400 if "data" not in data and media_type.startswith(GRAPHQL_TYPE) else 200


def _reply(data: GraphQLHTTPResponse, media_type: str, trace_id: str) -> Reply:
    return Reply(orjson.dumps(data), status=_status(data, media_type), media_type=media_type, trace_id=trace_id)


_PARAMETERS: Final[tuple[tuple[str, Any, str], ...]] = (
    ("query", str, "a string"),
    ("documentId", str, "a string"),
    ("operationName", str, "a string"),
    ("variables", dict, "an object"),
    ("extensions", dict, "an object"),
)


def _decode(text: str | bytes, what: str) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RequestRefused(400, f"{what} is not JSON in UTF-8: {error}", code="GRAPHQL_PARSE_FAILED") from error


def _media_type(scope: Scope) -> str:
    return preferred(header(scope, b"accept"))
