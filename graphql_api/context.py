"""What resolvers are handed: the injected services and the request's trace id."""

from __future__ import annotations

from dataclasses import dataclass

import strawberry

from graphql_api.ingest import Ingest
from graphql_api.reads import Reads


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One per request."""

    ingest: Ingest
    reads: Reads
    trace_id: str


Info = strawberry.Info[RequestContext, None]
