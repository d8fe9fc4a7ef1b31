"""The GraphQL type and resolver of `featuresChanged`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any

import strawberry
from strawberry.tools import create_type

from features.catalogue import Catalogue
from graphql_api.context import Info, RequestContext
from graphql_api.feature_types import ListedFeature, UserFeatures, known_feature
from graphql_api.reads import UserRow, require_id
from graphql_api.scalars import moment
from graphql_api.watch import decode_token, encode_token, watch


@strawberry.type(description="A user's features after they have changed.")
class FeaturesChange:
    user_id: strawberry.ID = strawberry.field(description="The user's id.")
    version: str = strawberry.field(description="Version of the row in us, as a decimal number; 0 without a row.")
    token: str = strawberry.field(description="Give it as `after` to go on behind this message.")
    as_of: datetime = strawberry.field(description="The moment at which the values were derived.")
    feature_values: list[ListedFeature] = strawberry.field(description="The features that were asked for.")

    @classmethod
    def of(cls, row: UserRow, catalogue: Catalogue, names: list[str] | None) -> FeaturesChange:
        """The row as GraphQL shows it."""
        return cls(
            user_id=strawberry.ID(row.user_id),
            version=str(0 if row.state is None else row.state.version),
            token=encode_token(row),
            as_of=moment(row.read_at_ms),
            feature_values=UserFeatures(catalogue, row.state, row.read_at_ms).listed(names),
        )


def subscription_type(catalogue: Catalogue) -> type:
    """The GraphQL type `Subscription` over the features of `catalogue`."""

    async def features_changed(
        info: Info,
        user_id: Annotated[strawberry.ID, strawberry.argument(description="The user's id, as in the events.")],
        names: Annotated[
            list[str] | None, strawberry.argument(description="Only these features; all by default.")
        ] = None,
        after: Annotated[
            str | None,
            strawberry.argument(
                description=(
                    "Token of a message: first the current values if anything is newer, then changes. Empty: first "
                    "the current values in any case. Null: only changes from now on."
                )
            ),
        ] = None,
    ) -> AsyncGenerator[FeaturesChange, None]:
        require_id(user_id)
        for name in names or ():
            known_feature(catalogue, name)
        if after:
            decode_token(after)
        distinct = None if names is None else list(dict.fromkeys(names))
        return changes(info.context, user_id, distinct, after)

    async def changes(
        context: RequestContext, user_id: str, names: list[str] | None, after: str | None
    ) -> AsyncGenerator[FeaturesChange, None]:
        async with aclosing(watch(context.hub, context.reads, user_id, after)) as rows:
            values: list[object] | None = None
            async for row in rows:
                change = FeaturesChange.of(row, catalogue, names)
                previous, values = values, [feature.value for feature in change.feature_values]
                wanted = after is not None if previous is None else values != previous
                if wanted:
                    yield change

    field: Any = strawberry.subscription(
        resolver=features_changed,
        name="featuresChanged",
        description=(
            "The user's features whenever events have changed one that was asked for, wherever they were folded. A "
            "slow client gets the latest values, not all of them."
        ),
    )
    return create_type("Subscription", [field], description="Changes as they happen.")
