"""A request to an ASGI app, sent piece by piece by hand: a test sees how much of a body was taken."""

from __future__ import annotations

import json
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp
from tests.front_door import ADDRESS, ORIGIN
from tests.own_loop import run

from casehaven.signin.principal import PAGE_HEADER, SESSION_COOKIE
from casehaven.signin.sessions import page_value


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What came back, and how much of the body was taken for it."""

    status: int
    body: bytes
    taken: int
    """Bytes."""

    @property
    def code(self) -> str:
        """The code of a problem."""
        return str(json.loads(self.body)["code"])


def send_raw(
    app: ASGIApp, method: str, path: str, pieces: Iterable[bytes], *, session: str | None = None, **headers: str
) -> Answered:
    """Send a request, one piece of the body whenever the app asks for more; `_` in the names of headers stands for `-`."""
    sent = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    sent["origin"] = ORIGIN
    if session is not None:
        sent |= {"cookie": f"{SESSION_COOKIE}={session}", PAGE_HEADER.lower(): page_value(session)}
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": (ADDRESS, 50_000),
        "server": ("localhost", 8470),
    }
    waiting, taken, status, body = iter(pieces), 0, 0, b""

    async def receive() -> MutableMapping[str, Any]:
        nonlocal taken
        piece = next(waiting, None)
        taken += len(piece or b"")
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status, body
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            body += message.get("body", b"")

    run(_call(app, scope, receive, send))
    return Answered(status=status, body=body, taken=taken)


async def _call(app: ASGIApp, scope: Any, receive: Any, send: Any) -> None:
    await app(scope, receive, send)
