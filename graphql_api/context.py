"""What resolvers are handed: the injected services and the request's trace id."""

from __future__ import annotations

import msgspec
import strawberry

from graphql_api.ingest import Ingest
from graphql_api.reads import Reads
from graphql_api.watch import Hub


class RequestContext(msgspec.Struct, frozen=True):
    """One per request, or per socket."""

    ingest: Ingest
    reads: Reads
    hub: Hub
    trace_id: str


Info = strawberry.Info[RequestContext, None]
