"""The catalogue of this process against the one by which the stored states were folded last."""

from __future__ import annotations

import asyncio

import orjson
import structlog

from features import Catalogue
from features.manifest import Change, catalogue_manifest, compare
from storage import CassandraUserStore, StoreUnavailable, UserStore
from storage.errors import NotMigrated

log = structlog.get_logger()

_RETRY_SECONDS = 1.0


async def changes(store: UserStore, catalogue: Catalogue) -> list[Change]:
    """What differs from the running version; nothing before the first worker has run.

    Raises CatalogueError with the diff where a definition changed without a new version, and StoreUnavailable.
    """
    stored = await store.load_manifest()
    return [] if stored is None else compare(orjson.loads(stored), catalogue_manifest(catalogue))


async def adopt(store: CassandraUserStore, catalogue: Catalogue) -> None:
    """Make `catalogue` the running version, as a worker does before it folds; waits for the store.

    Raises CatalogueError as `changes` does.
    """
    manifest = orjson.dumps(catalogue_manifest(catalogue), option=orjson.OPT_SORT_KEYS)
    await store.connected()
    while True:
        try:
            stored = await store.load_manifest()
            found = [] if stored is None else compare(orjson.loads(stored), orjson.loads(manifest))
            if stored == manifest or await store.replace_manifest(stored, manifest):
                break
        except StoreUnavailable as error:
            log.warning("waiting for the store", to="read the manifest of the catalogue", reason=str(error))
            await asyncio.sleep(_RETRY_SECONDS)
    for change in found:
        log.info("the catalogue has changed", change=str(change))


async def until_refused(store: CassandraUserStore, catalogue: Catalogue) -> None:
    """Raises CatalogueError if `catalogue` must not be served beside the stored states; else it never returns."""
    await store.connected()
    while True:
        try:
            await changes(store, catalogue)
            await asyncio.Event().wait()
        except (StoreUnavailable, NotMigrated):  # the readiness check says which
            await asyncio.sleep(_RETRY_SECONDS)
