"""A client that calls an ASGI application in this process, as light as it can be: what it costs is measured as well."""

from __future__ import annotations

from typing import Any


async def post(app: Any, path: str, body: bytes) -> bytes:
    """POST a JSON body. Returns the answer's body; raises RuntimeError unless its status is 200."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"bench"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("bench", 80),
    }
    request: list[dict[str, Any]] = [
        {"type": "http.disconnect"},
        {"type": "http.request", "body": body, "more_body": False},
    ]
    status = 0
    answer: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return request.pop()

    async def send(message: dict[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            answer.append(message.get("body", b""))

    await app(scope, receive, send)
    if status != 200:
        raise RuntimeError(f"HTTP {status}: {b''.join(answer)[:300]!r}")
    return b"".join(answer)
