"""`./headrace features check` and `features explain`: look at the catalogue and at where a value comes from."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import aiohttp

from cli.catalogue import changes
from cli.errors import CONTRACT, DEPENDENCY, FAILURE, NOT_FOUND, CommandFailed
from features import CatalogueError, load_catalogue
from features.manifest import DefinitionChange
from loadgen.client import ApiAnswer, Client
from runtime.settings import Settings
from storage import CassandraUserStore, StoreUnavailable

_CONNECT_SECONDS: Final = 10.0
_EXPLAIN: Final = """query Explain($id: ID!, $name: String!) { user(id: $id) { explain(name: $name) {
  feature { value window coveredFrom asOf lateEvents duplicateEvents approximate reason countsFrom version }
  formula measures hopSeconds cells { startsAt amounts } inputs
  lastEvents { eventId type eventTime itemId category value searchTerm }
  position { epoch partition offset } stateVersion undoneEvents recomputed recomputedFrom differs reason } } }"""


def check(settings: Settings) -> list[DefinitionChange]:
    """What the configured catalogue changes against the running version.

    Raises CatalogueError where the catalogue cannot be used, and CommandFailed where it changes a definition without a
    new version.
    """
    catalogue = load_catalogue(settings.features.catalogue)

    async def compare() -> list[DefinitionChange]:
        store = CassandraUserStore(settings.cassandra)
        await store.start()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await store.connected()
            return await changes(store, catalogue)
        except CatalogueError as error:
            what, _, diff = str(error).partition("\n")
            remedy = "raise the version, or give the new definition a name of its own"
            raise CommandFailed(what, diff.strip(), remedy, code=CONTRACT) from error
        except TimeoutError:
            await store.ping()  # says why there is no connection
            raise
        finally:
            await store.close()

    try:
        return asyncio.run(compare())
    except TimeoutError as error:
        raise StoreUnavailable(f"no connection to Cassandra within {_CONNECT_SECONDS:.0f} s") from error


def explain(settings: Settings, user_id: str, name: str) -> dict[str, Any]:
    """The explanation as the API gives it. Raises CommandFailed."""
    url = f"http://{settings.api.host}:{settings.api.port}"

    async def ask() -> Any:
        async with Client(url) as client:
            return await client.ask(_EXPLAIN, {"id": user_id, "name": name})

    try:
        explained: dict[str, Any] = asyncio.run(ask())["user"]["explain"]
        return explained
    except ApiAnswer as error:
        code = NOT_FOUND if "unknown feature" in str(error) else FAILURE
        raise CommandFailed(
            f"cannot explain {name} of {user_id}", str(error), "./headrace features check lists the features", code=code
        ) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise CommandFailed(
            f"the API at {url} does not answer", f"{type(error).__name__}: {error}", "./headrace up", code=DEPENDENCY
        ) from error


def lines(user_id: str, name: str, explained: dict[str, Any]) -> list[str]:
    """The explanation for eyes; the alarm comes first."""
    feature = explained["feature"]
    alarm = [
        "!!! THE TIMELINE GIVES ANOTHER VALUE THAN THE ONE SERVED !!!",
        f"!!! served {json.dumps(feature['value'])}, recomputed {json.dumps(explained['recomputed'])}",
    ]
    position = explained["position"]
    rows = [
        ("value", json.dumps(feature["value"]) + (" (an estimate)" if feature["approximate"] else "")),
        ("why", feature["reason"]),
        ("formula", explained["formula"]),
        ("window", feature["window"] and f"{feature['window']}, covered from {feature['coveredFrom']}"),
        ("as of", feature["asOf"]),
        ("counts from", feature["countsFrom"]),
        *(("measure", f"{measure}: {definition}") for measure, definition in explained["measures"].items()),
        *(("cell", f"{cell['startsAt']}  {json.dumps(cell['amounts'])}") for cell in explained["cells"]),
        *(("kept", f"{measure}: {json.dumps(kept)}") for measure, kept in explained["inputs"].items()),
        *(("event", _event(event)) for event in explained["lastEvents"]),
        ("late", f"{feature['lateEvents']} events"),
        ("duplicates", f"{feature['duplicateEvents']} events"),
        ("undone", f"{explained['undoneEvents']} events"),
        (
            "position",
            position and f"epoch {position['epoch']}, partition {position['partition']}, offset {position['offset']}",
        ),
        ("version", f"{feature['version']} of the feature, {explained['stateVersion']} of the row"),
        ("recomputed", _recomputed(explained)),
    ]
    shown = [f"{label:<12}{text}" for label, text in rows if text]
    return [f"{name} of {user_id}", *(alarm if explained["differs"] else []), *shown]


def _event(event: dict[str, Any]) -> str:
    fields = {name: value for name, value in event.items() if value is not None}
    return " ".join(str(fields.pop(name)) for name in ("eventTime", "type", "eventId")) + f"  {json.dumps(fields)}"


def _recomputed(explained: dict[str, Any]) -> str:
    if explained["recomputed"] is None and explained["reason"]:
        return f"no: {explained['reason']}"
    verdict = "ANOTHER VALUE" if explained["differs"] else "the same"
    if explained["reason"]:
        verdict = f"no verdict, {explained['reason']}"
    return f"{json.dumps(explained['recomputed'])} from {explained['recomputedFrom']} events of the timeline: {verdict}"
