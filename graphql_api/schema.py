"""The GraphQL schema: Query, User and Mutation around a feature catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
import strawberry
from graphql import ASTValidationRule, GraphQLError, GraphQLResolveInfo, OperationDefinitionNode
from strawberry.extensions import (
    AddValidationRules,
    MaxAliasesLimiter,
    MaxTokensLimiter,
    ParserCache,
    QueryDepthLimiter,
    SchemaExtension,
    ValidationCache,
)
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StreamResult
from strawberry.tools import create_type
from strawberry.types import ExecutionContext

from features.catalogue import Catalogue
from graphql_api.context import Info, RequestContext
from graphql_api.errors import masked_stream
from graphql_api.event_types import EventConnection, TrackEventsInput, TrackEventsPayload
from graphql_api.explain_types import FeatureExplanation
from graphql_api.explaining import explain_feature
from graphql_api.feature_types import ListedFeature, UserFeatures, known_feature, moment_asked_for, user_features_type
from graphql_api.one_explain import OneExplain
from graphql_api.reads import UserRow
from graphql_api.scalars import DATE_TIME
from graphql_api.subscriptions import subscription_type
from schemas.events import ClientEvent, epoch_ms

MAX_TOKENS: Final = 20_000  # 1 000 events written into the query text still fit; parsing more blocks the loop too long
MAX_ALIASES: Final = 15  # each aliased `user` is a read of its own
MAX_DEPTH: Final = 10  # the deepest useful query, a timeline's node, has 5
DEFAULT_DEADLINE_MS: Final = 1_000
DEFAULT_PAGE: Final = 50
CACHED_QUERY_CHARS: Final = 8_192  # parsed documents are some hundred times their text: big ones are not kept


class SmallParserCache(ParserCache):
    """Strawberry's cache, for query texts that are small enough to keep."""

    def on_parse(self) -> Iterator[None]:
        if len(self.execution_context.query or "") <= CACHED_QUERY_CHARS:
            yield from super().on_parse()
        else:
            yield


class SmallValidationCache(ValidationCache):
    """Strawberry's cache, for query texts that are small enough to keep."""

    def on_validate(self) -> Iterator[None]:
        if len(self.execution_context.query or "") <= CACHED_QUERY_CHARS:
            yield from super().on_validate()
        else:
            yield


class OneOperation(SchemaExtension):
    """Refuses to choose among several operations, as the specification demands; Strawberry would run the first."""

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        if context._provided_operation_name is None and context.graphql_document is not None:
            definitions = context.graphql_document.definitions
            if sum(isinstance(definition, OperationDefinitionNode) for definition in definitions) > 1:
                raise GraphQLError("the document holds several operations: name one in `operationName`")
        yield


class QuietSchema(strawberry.Schema):
    """Leaves logging to `masked`, which writes one line per failed request; Strawberry would write one per error."""

    async def stream(self, *args: Any, **options: Any) -> StreamResult:
        """What Strawberry's own does, as clients may see it. `context_value` is given by name."""
        return masked_stream(await super().stream(*args, **options), options["context_value"].trace_id)

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Nothing."""


async def _track_events(
    info: Info, input: Annotated[TrackEventsInput, strawberry.argument(description="The events.")]
) -> TrackEventsPayload:
    """Declares the field; `_track_coerced` resolves it."""
    raise NotImplementedError


async def _track_coerced(
    _root: None, info: GraphQLResolveInfo[RequestContext], input: Mapping[str, Any]
) -> TrackEventsPayload:
    """trackEvents from what graphql-core has coerced, under the names of the wire.

    Strawberry would make its input objects of it first, and resolve every annotation of every event again for that:
    half of the cost of a request.
    """
    events = [msgspec.convert(event, ClientEvent) for event in input["events"]]
    return await _track(info.context, events, input.get("sentAt"))


async def _track_events_json(
    info: Info,
    events: Annotated[list[JSON], strawberry.argument(description="Up to 1000 events.")],
    sent_at: Annotated[
        datetime | None,
        strawberry.argument(description="The client's clock as it sends the request; corrects one that is wrong."),
    ] = None,
) -> TrackEventsPayload:
    return await _track(info.context, events, sent_at)


async def _track(context: RequestContext, events: Sequence[object], sent_at: datetime | None) -> TrackEventsPayload:
    judged = context.ingest.judge(events, sent_at_ms=None if sent_at is None else epoch_ms(sent_at))
    outcome = await context.ingest.send(judged)
    return TrackEventsPayload.of(outcome, context.trace_id)


async def _read_user(
    info: Info,
    id: Annotated[strawberry.ID, strawberry.argument(description="The user's id, as in the events.")],
    after: Annotated[
        str | None, strawberry.argument(description="A receipt of trackEvents: wait until its events are counted.")
    ] = None,
    deadline_ms: Annotated[
        int | None, strawberry.argument(description="Longest wait for the receipt.")
    ] = DEFAULT_DEADLINE_MS,
) -> UserRow:
    deadline_ms = DEFAULT_DEADLINE_MS if deadline_ms is None else deadline_ms
    return await info.context.reads.user(id, after=after, deadline_ms=deadline_ms)


async def _read_users(
    info: Info,
    ids: Annotated[list[strawberry.ID], strawberry.argument(description="Up to 100 users' ids.")],
) -> list[UserRow]:
    return list(await info.context.reads.users(ids))


def _user_id(root: strawberry.Parent[UserRow]) -> str:
    return root.user_id


def _fresh(root: strawberry.Parent[UserRow]) -> bool:
    return root.fresh


async def _timeline(
    root: strawberry.Parent[UserRow],
    info: Info,
    first: Annotated[int | None, strawberry.argument(description="Events in the page, 1 to 500.")] = DEFAULT_PAGE,
    after: Annotated[str | None, strawberry.argument(description="Cursor to continue behind.")] = None,
    types: Annotated[list[str] | None, strawberry.argument(description="Only events of these types.")] = None,
) -> EventConnection:
    first = DEFAULT_PAGE if first is None else first
    page = await info.context.reads.timeline(root, first=first, after=after, types=types)
    return EventConnection.of(page, after=after)


def _field(*, resolver: Callable[..., object], name: str, description: str, graphql_type: Any = None) -> Any:
    """A field for `create_type`, which Strawberry's own signature says is its resolver's result."""
    return strawberry.field(resolver=resolver, name=name, description=description, graphql_type=graphql_type)


def build_schema(catalogue: Catalogue) -> strawberry.Schema:
    """The schema whose `UserFeatures` has the features of `catalogue`."""
    user_type = _user_type(catalogue)
    query = create_type(
        "Query",
        [
            _field(
                resolver=_read_user,
                name="user",
                graphql_type=user_type,
                description=(
                    "A user. With a receipt the answer waits until the user's row has reached it, at most deadlineMs: "
                    "read your own writes."
                ),
            ),
            _field(
                resolver=_read_users,
                name="users",
                graphql_type=list[user_type],  # type: ignore[valid-type]  # made at run time, from the catalogue
                description="Up to 100 users at once, in the order of their ids.",
            ),
        ],
        description="Reads.",
    )
    mutation = create_type(
        "Mutation",
        [
            _field(
                resolver=_track_events,
                name="trackEvents",
                description=(
                    "Writes events. Answers after every accepted event is acknowledged by Kafka's in-sync replicas."
                ),
            ),
            _field(
                resolver=_track_events_json,
                name="trackEventsJson",
                description=(
                    "The same for SDKs and pipelines: events as JSON objects of the shape of EventInput, each judged "
                    "by itself."
                ),
            ),
        ],
        description="Writes.",
    )
    # One instance of each rule for all requests: the validation cache is keyed by them.
    rules: list[type[ASTValidationRule]] = [OneExplain, *(rule for limit in _LIMITS for rule in limit.validation_rules)]
    schema = QuietSchema(
        query=query,
        mutation=mutation,
        subscription=subscription_type(catalogue),
        config=StrawberryConfig(scalar_map={datetime: DATE_TIME}),
        extensions=[
            lambda: MaxTokensLimiter(MAX_TOKENS),
            lambda: AddValidationRules(rules),
            OneOperation,
            SmallParserCache,
            SmallValidationCache,
        ],
    )
    mutation_type = schema._schema.mutation_type
    assert mutation_type is not None
    mutation_type.fields["trackEvents"].resolve = _track_coerced
    return schema


_LIMITS: Final = (QueryDepthLimiter(MAX_DEPTH), MaxAliasesLimiter(MAX_ALIASES))


At = Annotated[
    datetime | None,
    strawberry.argument(
        description=(
            "As of another moment, from 1970 to a year from now, by what is known today: windows end there; what "
            "cannot be told any more is null, with the reason."
        )
    ),
]


def _user_type(catalogue: Catalogue) -> type:
    def as_of(row: UserRow, at: datetime | None) -> UserFeatures:
        now_ms = moment_asked_for(at, row.read_at_ms)
        return UserFeatures(catalogue, row.state, now_ms, past=at is not None)

    def features(root: strawberry.Parent[UserRow], at: At = None) -> UserFeatures:
        return as_of(root, at)

    def feature_values(
        root: strawberry.Parent[UserRow],
        names: Annotated[
            list[str] | None, strawberry.argument(description="Only these features; all by default.")
        ] = None,
        at: At = None,
    ) -> list[ListedFeature]:
        return as_of(root, at).listed(names)

    async def explain(
        root: strawberry.Parent[UserRow],
        info: Info,
        name: Annotated[str, strawberry.argument(description="The feature's name.")],
        at: At = None,
    ) -> FeatureExplanation:
        feature = known_feature(catalogue, name)
        now_ms = moment_asked_for(at, root.read_at_ms)
        explained = await explain_feature(info.context.reads, catalogue, root, feature, now_ms, past=at is not None)
        return FeatureExplanation.of(explained)

    return create_type(
        "User",
        [
            _field(resolver=_user_id, name="id", graphql_type=strawberry.ID, description="The user's id."),
            _field(
                resolver=_fresh,
                name="fresh",
                description=(
                    "False if a receipt was given and its position was not reached in time: the values are those "
                    "before it."
                ),
            ),
            _field(
                resolver=features,
                name="features",
                graphql_type=user_features_type(catalogue),
                description="One typed field per feature of the catalogue.",
            ),
            _field(
                resolver=feature_values, name="featureValues", description="The same features as a list, for tools."
            ),
            _field(
                resolver=explain,
                name="explain",
                description=(
                    "Where a feature's value comes from, and whether the timeline gives the same. Once in a request, "
                    "under `user`."
                ),
            ),
            _field(resolver=_timeline, name="timeline", description="What the user did, newest first."),
        ],
        description="A user and what is known of them. A user nobody has seen has null features, with the reason.",
    )
