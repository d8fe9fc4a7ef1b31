"""The API as an application in this process, over a given store and producer."""

from __future__ import annotations

from starlette.types import ASGIApp

from features import load_catalogue
from graphql_api.app import create_app
from graphql_api.watch import Hub
from runtime.health import Readiness
from runtime.memory_change_feed import MemoryChangeFeed
from runtime.producer import Producer
from runtime.settings import Settings
from storage import UserStore


def new_app(settings: Settings, *, store: UserStore, producer: Producer) -> ASGIApp:
    """It answers mutations and reads; nothing follows the feature topic."""
    return create_app(
        settings.api,
        store=store,
        producer=producer,
        catalogue=load_catalogue(settings.features.catalogue),
        hub=Hub(MemoryChangeFeed()),
        events_epoch=lambda: 1,
        readiness=Readiness({}),
    )
