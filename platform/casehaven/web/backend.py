"""How a page asks the service: a route of `/v1` of the same app, called in this process under the reader's own session.

1. It calls paths below `/v1` alone, so that no page calls a page.
2. It forwards the session's cookie and what shows that the request came from a page of this service (`Origin`, `Sec-Fetch-Site`, the page value). The route decides everything, as for any other client.
3. An answer holds at most `ANSWER_BYTES`. Redirects are not followed; there is no socket.
4. What a page asks is part of the page's request, and counts no visitor once more (`casehaven.core.routing`, rule 4).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any, Final
from urllib.parse import quote, unquote

from fastapi import Request
from starlette.types import Message

from casehaven.core.idempotency import HEADER as KEY_HEADER
from casehaven.core.problems import INTERNAL_PROBLEM, Problem, ProblemError
from casehaven.core.routing import COUNTED
from casehaven.signin.job_assertions import HEADER as ASSERTION_HEADER
from casehaven.signin.principal import PAGE_HEADER, SESSION_COOKIE
from casehaven.web.errors import BackendError

ANSWER_BYTES: Final = 8 * 1024 * 1024
"""Rule 3."""
MEMBERS: Final = ("challenge", "nonce", "at")
"""Of a problem, what the next step needs: `assertion-needed`."""
FORWARDED: Final = ("origin", "sec-fetch-site")
"""Rule 2."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a route answered."""

    status: int
    content: bytes = field(repr=False)
    headers: Mapping[str, str]
    """Names in small letters; cookies are apart."""
    cookies: tuple[str, ...] = field(default=(), repr=False)
    """The `Set-Cookie` lines, as they are."""

    @property
    def body(self) -> Any:
        """The JSON of the answer; None where there is none."""
        return json.loads(self.content) if self.content and "json" in self.headers.get("content-type", "") else None

    @property
    def problem(self) -> Problem | None:
        """The refusal, where it is one."""
        if self.status < 400:
            return None
        said = self.body
        if not isinstance(said, dict) or "code" not in said:
            return INTERNAL_PROBLEM
        after = self.headers.get("retry-after", "")
        return Problem(
            status=self.status,
            code=str(said["code"]),
            title=str(said.get("title", "")),
            detail=str(said.get("detail", "")),
            advice=str(said.get("advice", "")),
            retry_after_seconds=int(after) if after.isdecimal() else None,
            members={name: said[name] for name in MEMBERS if name in said},
        )

    @property
    def job(self) -> str | None:
        """The id of the job that was made or has ended; None where the route makes none."""
        place = self.headers.get("location", "")
        return place.rpartition("/")[2] if place.startswith("/v1/jobs/") else None

    def checked(self) -> Answer:
        """Return itself.

        Raises:
            ProblemError: it is a refusal.
        """
        problem = self.problem
        if problem is not None:
            raise ProblemError(problem)
        return self


@dataclass
class Backend:
    """The routes of `/v1`, as one reader reaches them."""

    request: Request
    """Of the page."""
    page_value: str = field(default="", repr=False)
    """What the page's form sent, or the session's own after a step-up."""
    assertion: str = field(default="", repr=False)
    """A passkey's signature over a job, for the routes that ask for one."""
    session: str = field(default="", repr=False)
    """Value of the session's cookie."""
    cookies: list[str] = field(default_factory=list, repr=False)
    """`Set-Cookie` lines that the page's answer must carry on."""

    def __post_init__(self) -> None:
        """Take the session of the page's request."""
        self.session = self.session or self.request.cookies.get(SESSION_COOKIE, "")

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content: bytes | AsyncIterator[bytes] | None = None,
        key: str = "",
        wait: int = 0,
    ) -> Answer:
        """Call a route.

        Args:
            method: GET, POST, PUT, PATCH or DELETE.
            path: below `/v1`, with its query; made by `place`.
            body: to be sent as JSON.
            content: bytes to be sent as they are, in the place of a body.
            key: the Idempotency-Key.
            wait: seconds to wait for a job.

        Raises:
            BackendError: the path is not below `/v1`, or the answer is too large.
        """
        if not path.startswith("/v1/"):
            raise BackendError("a page asks routes below /v1 alone")
        bare, _, query = path.partition("?")
        sent = json.dumps(body).encode() if body is not None else content if content is not None else b""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": self.request.url.scheme,
            "path": unquote(bare),
            "raw_path": bare.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": self._headers(body is not None, content is not None, key, wait),
            "client": self.request.scope.get("client"),
            "server": self.request.scope.get("server"),
            "state": {"request_number": getattr(self.request.state, "request_number", ""), COUNTED: True},
        }
        answer = await _called(self.request.app, scope, sent)
        for line in answer.cookies:
            self._keep(line)
        return answer

    def _headers(self, json_body: bool, raw: bool, key: str, wait: int) -> list[tuple[bytes, bytes]]:
        made = {name: self.request.headers.get(name, "") for name in FORWARDED}
        made["cookie"] = f"{SESSION_COOKIE}={self.session}" if self.session else ""
        made[PAGE_HEADER.lower()] = self.page_value
        made["content-type"] = "application/json" if json_body else "application/octet-stream" if raw else ""
        made[KEY_HEADER.lower()] = key
        made["prefer"] = f"wait={wait}" if wait else ""
        made[ASSERTION_HEADER.lower()] = self.assertion
        made["accept"] = "application/json"
        return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in made.items() if value]

    def _keep(self, line: str) -> None:
        self.cookies.append(line)
        found = SimpleCookie(line).get(SESSION_COOKIE)
        if found is not None:
            self.session = found.value


def place(template: str, *parts: str, **query: str | int | None) -> str:
    """Return a path with its parts quoted.

    >>> place("/v1/datasets/{}/{}", "north", "a/b", limit=5, cursor=None)
    '/v1/datasets/north/a%2Fb?limit=5'
    """
    path = template.format(*(quote(part, safe="") for part in parts))
    asked = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items() if value is not None)
    return f"{path}?{asked}" if asked else path


async def _called(app: Any, scope: dict[str, Any], sent: bytes | AsyncIterator[bytes]) -> Answer:
    """Run the app once on a scope."""
    pieces = _pieces(sent)
    over = asyncio.Event()
    started: dict[str, Any] = {}
    found = bytearray()

    async def receive() -> Message:
        try:
            return await anext(pieces)
        except StopAsyncIteration:
            await over.wait()
            return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            started.update(message)
        else:
            if len(found) <= ANSWER_BYTES:
                found.extend(message.get("body", b""))
            if not message.get("more_body", False):
                over.set()

    await app(scope, receive, send)
    if len(found) > ANSWER_BYTES:
        raise BackendError("an answer is larger than a page may take")
    headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in started["headers"]]
    return Answer(
        status=started["status"],
        content=bytes(found),
        headers={name: value for name, value in headers if name != "set-cookie"},
        cookies=tuple(value for name, value in headers if name == "set-cookie"),
    )


async def _pieces(sent: bytes | AsyncIterator[bytes]) -> AsyncIterator[Message]:
    if isinstance(sent, bytes):
        yield {"type": "http.request", "body": sent, "more_body": False}
        return
    async for piece in sent:
        yield {"type": "http.request", "body": piece, "more_body": True}
    yield {"type": "http.request", "body": b"", "more_body": False}
