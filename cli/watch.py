"""`./headrace features watch`: a client of the API's subscription over graphql-transport-ws."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import aiohttp

from cli.errors import DEPENDENCY, FAILURE, NOT_FOUND, CommandFailed
from runtime.settings import Settings

_WATCH: Final = """subscription Watch($id: ID!, $names: [String!], $after: String) {
  featuresChanged(userId: $id, names: $names, after: $after) {
    userId version token asOf featureValues { name value } } }"""
_HEARTBEAT_SECONDS: Final = 10.0  # a machine that is gone without a word is noticed after one and a half of these
_AGAIN_SECONDS: Final = (0.1, 0.5, 1.0, 2.0, 5.0)


class _Gone(Exception):
    """The API does not answer, or no longer."""


def watch(
    settings: Settings,
    user_id: str,
    names: list[str] | None,
    show: Callable[[dict[str, Any]], None],
    report: Callable[[str], None],
) -> None:
    """Show the user's values and then each change, until interrupted; connects again where the API goes away.

    A change is an object with userId, version, token, asOf and values, by name. Raises CommandFailed.
    """
    url = f"http://{settings.api.host}:{settings.api.port}"

    async def follow() -> None:
        token, attempts, connected, away = "", 0, False, False
        while True:
            try:
                async for change in _changes(url, {"id": user_id, "names": names, "after": token}):
                    connected = True
                    if away:
                        report("the API is back")
                        away = False
                    if change is not None:
                        token, attempts = change["token"], 0
                        show(change)
            except _Gone as error:
                if not connected:
                    raise CommandFailed(
                        f"the API at {url} does not answer", str(error), "./headrace up", code=DEPENDENCY
                    ) from error
                if not away:
                    report(f"the API went away ({error}); going on behind the last change when it is back")
                    away = True
            await asyncio.sleep(_AGAIN_SECONDS[min(attempts, len(_AGAIN_SECONDS) - 1)])
            attempts += 1

    try:
        asyncio.run(follow())
    except KeyboardInterrupt:
        return


async def _changes(url: str, variables: dict[str, Any]) -> AsyncIterator[dict[str, Any] | None]:
    """None once the API has answered, then its changes. Raises _Gone at the end, CommandFailed for what it refuses."""
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                f"{url}/graphql", protocols=("graphql-transport-ws",), heartbeat=_HEARTBEAT_SECONDS
            ) as socket,
        ):
            await socket.send_json({"type": "connection_init"})
            subscribe = {"type": "subscribe", "id": "1", "payload": {"query": _WATCH, "variables": variables}}
            async for frame in socket:
                if frame.type is not aiohttp.WSMsgType.TEXT:
                    break
                message = json.loads(frame.data)
                if message["type"] == "connection_ack":
                    await socket.send_json(subscribe)
                    yield None
                elif message["type"] == "ping":
                    await socket.send_json({"type": "pong"})
                elif message["type"] in ("next", "error"):
                    yield _change(message["payload"], variables["id"])
            raise _Gone(f"the connection was closed with {socket.close_code}")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _Gone(f"{type(error).__name__}: {error}") from error


def _change(payload: Any, user_id: str) -> dict[str, Any]:
    """The change in the payload of a message; an error's is a list. Raises CommandFailed, _Gone."""
    errors = payload if isinstance(payload, list) else payload.get("errors")
    if errors:
        message, code = errors[0]["message"], errors[0].get("extensions", {}).get("code")
        if code == "UPSTREAM_UNAVAILABLE":
            raise _Gone(message)
        raise CommandFailed(
            f"cannot watch {user_id}",
            message,
            "./headrace features check lists the features",
            code=NOT_FOUND if "unknown feature" in message else FAILURE,
        )
    change: dict[str, Any] = payload["data"]["featuresChanged"]
    change["values"] = {entry["name"]: entry["value"] for entry in change.pop("featureValues")}
    return change


class ChangedValues:
    """The lines of a change for eyes: first all values, then those that are not what they were."""

    def __init__(self) -> None:
        self._shown: dict[str, Any] = {}

    def lines(self, change: dict[str, Any]) -> list[str]:
        """One line for each value that is new."""
        values = {name: value for name, value in change["values"].items() if self._shown.get(name, ...) != value}
        self._shown |= values
        return [f"{change['asOf']}  {name:<26}{json.dumps(value)}" for name, value in values.items()]
