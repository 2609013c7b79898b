"""The outermost layer of the api: every request is numbered, bounded, answered with safe headers, counted and logged; no exception leaves it.

1. Each answer has the security headers of `HEADERS`, unless a route set its own. An answer that is a page may set its own content policy.
2. A body of more than `BODY_BYTES` is refused before it is read, whatever it calls itself; the one route that streams a file, and its page, have its own bound.
3. Whatever is raised is answered with a problem. The log gets the name of the class, never its message or a traceback (privacy rule 23).
4. The log and the metrics know the template of the route, the method, the status and the duration in steps.
"""

from __future__ import annotations

import re
import secrets
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from casehaven.core.addresses import network_of
from casehaven.core.limits import Limits
from casehaven.core.logs import log_line, step
from casehaven.core.problems import MEDIA_TYPE, problem_of
from casehaven.core.request_errors import BodyTooLargeError, RateLimitedError
from casehaven.core.web import BODY_BYTES

HEADERS: Final = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""Of every answer."""
HSTS: Final = "max-age=63072000; includeSubDomains"
"""Where the service is reached by HTTPS."""

TOO_LARGE: Final = "body_too_large"
"""In the state of a request whose body went beyond its bound."""
UNKNOWN: Final = "/{other}"
"""What a path that no route has is called."""


@dataclass
class Metrics:
    """Counts of requests of this process: by template of the route, method and status; durations in steps."""

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    durations: Counter[tuple[str, int]] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def count(self, route: str, method: str, status: int, milliseconds: int) -> None:
        """Count a request."""
        with self._lock:
            self.requests[route, method, status] += 1
            self.durations[route, step(milliseconds)] += 1

    def lines(self) -> list[str]:
        """Return them as Prometheus reads them."""
        with self._lock:
            requests, durations = sorted(self.requests.items()), sorted(self.durations.items())
        made = ["# TYPE casehaven_requests_total counter"]
        for (route, method, status), count in requests:
            made.append(f'casehaven_requests_total{{route="{route}",method="{method}",status="{status}"}} {count}')
        made.append("# TYPE casehaven_request_milliseconds_total counter")
        for (route, bound), count in durations:
            made.append(f'casehaven_request_milliseconds_total{{route="{route}",le="{bound}"}} {count}')
        return made


@dataclass
class Boundary:
    """An ASGI app around another."""

    app: ASGIApp
    limits: Limits
    metrics: Metrics
    secure: bool
    """Whether people reach the service by HTTPS."""
    log: bool = True
    clock: Callable[[], float] = time.monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, number = self.clock(), secrets.token_hex(8)
        scope.setdefault("state", {})["request_number"] = number
        status = 500
        started = False

        async def sending(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                message["headers"] = self._headers(message.get("headers", []), number)
            await send(message)

        try:
            client = scope.get("client")
            self.limits.spend("address", network_of(client[0] if client else ""), self.clock())
            await self.app(scope, self._bounded(scope, receive), sending)
        except RateLimitedError as error:
            await self._refuse(error, scope, receive, sending)
        except Exception as error:  # noqa: BLE001 - rule 3: the one place where every failure becomes an answer
            if self.log and problem_of(error).status >= 500:
                log_line("request.fault", kind=type(error).__name__, request=number)
            if not started:
                await self._refuse(error, scope, receive, sending)
        finally:
            self._tell(scope, status, int(1000 * (self.clock() - began)), number)

    async def _refuse(
        self, error: Exception, scope: Scope, receive: Receive, send: Callable[[Message], Awaitable[None]]
    ) -> None:
        problem = problem_of(error)
        answer = Response(problem.body(), problem.status, dict(problem.headers()), media_type=MEDIA_TYPE)
        await answer(scope, receive, send)

    def _headers(self, said: Any, number: str) -> list[tuple[bytes, bytes]]:
        headers = list(said)
        there = {name.lower() for name, _ in headers}
        wanted = {**HEADERS, "x-request-id": number}
        if self.secure:
            wanted["strict-transport-security"] = HSTS
        headers += [(n.encode(), v.encode()) for n, v in wanted.items() if n.encode() not in there]
        return [(name, value) for name, value in headers if name.lower() != b"server"]

    @staticmethod
    def _bounded(scope: Scope, receive: Receive) -> Receive:
        """Bound a body (rule 2)."""
        if scope["method"] == "POST" and _STREAMED.fullmatch(scope["path"]):
            return receive
        size = 0

        async def bounded() -> MutableMapping[str, Any]:
            nonlocal size
            message = await receive()
            if message["type"] == "http.request":
                size += len(message.get("body", b""))
                if size > BODY_BYTES:
                    scope["state"][TOO_LARGE] = True  # what reads bodies makes another error of this one
                    raise BodyTooLargeError(f"the body is larger than {BODY_BYTES} bytes")
            return message

        return bounded

    def _tell(self, scope: Scope, status: int, milliseconds: int, number: str) -> None:
        route = getattr(scope.get("route"), "path", UNKNOWN)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self.metrics.count(route, method, status, milliseconds)
        if self.log:
            log_line("request", route=route, method=method, status=status, milliseconds=milliseconds, request=number)


_STREAMED: Final = re.compile(r"(/v1)?/datasets/[^/]+/[^/]+/uploads")
"""Where a file is sent: the route reads it in pieces, and stops at its own bound; so does the page whose form leads there, which passes the pieces on."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
