"""What resolvers are handed: the injected services and the request's trace id."""

from __future__ import annotations

from dataclasses import dataclass

import strawberry

from graphql_api.ingest import Ingest
from graphql_api.reads import Reads
from graphql_api.watch import Hub


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One per request, or per socket."""

    ingest: Ingest
    reads: Reads
    hub: Hub
    trace_id: str


Info = strawberry.Info[RequestContext, None]
