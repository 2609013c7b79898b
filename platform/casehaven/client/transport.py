"""Requests to a server: signed, bounded, and repeated only where repeating does nothing twice.

1. A request is repeated when it only reads or carries an idempotency key, and when the server could not be reached, was busy or was starting. Between two attempts the client
   waits as `Retry-After` says, or longer each time. What ended a job is never repeated.
2. A redirect is never followed: the token goes to the one address that was named. The certificate is checked. Nothing but http on this computer goes without TLS.
3. An answer has a bound on its bytes and on its time, comes uncompressed, and is JSON with one meaning; everything else is refused unread.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any, Final, Protocol, TypeVar

import httpx

from casehaven.client.address import ServerAddress
from casehaven.client.errors import RefusedError, UnexpectedAnswerError, UnreachableError, refusal
from casehaven.client.session import Session
from casehaven.client.token import Token
from casesynth.canonical import JsonFaultError, parse_json

JSON_MOST: Final = 32 * 1024 * 1024
"""Bytes of an answer; a thousand times what the service usually sends."""
PROBLEM_MOST: Final = 64 * 1024
BODY_SECONDS: Final = 120.0
"""The most that the body of a JSON answer may take."""
HOLD_SECONDS: Final = 20
"""How long the service is asked to hold an answer until a job has ended."""

_SAFE: Final = frozenset({"GET", "HEAD"})
_BUSY: Final = frozenset({429, 502, 503, 504})
_TIMEOUTS: Final = httpx.Timeout(60.0, connect=10.0, read=HOLD_SECONDS + 40.0)


T = TypeVar("T")


class Content(Protocol):
    """A body that can be sent again."""

    size: int
    """Bytes."""

    def pieces(self) -> Iterable[bytes]:
        """Yield it from its beginning."""
        ...


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often a request is repeated, and how long the client waits between."""

    attempts: int = 5
    first_seconds: float = 0.4
    """Before the second attempt; doubled before each further one."""
    most_seconds: float = 60.0
    """The longest that is waited before an attempt, also where the server asks for more: then the refusal is handed on."""
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def before(self, attempt: int) -> float:
        """Return how long to wait before an attempt when the server does not say; spread, so that clients do not come together."""
        pause: float = min(self.first_seconds * 2.0 ** (attempt - 1), self.most_seconds)
        return pause * (0.5 + secrets.randbelow(1_000) / 2_000)


class Transport:
    """Sends requests to one server with one token. Threads may share it."""

    def __init__(
        self,
        address: ServerAddress,
        token: Token | Session,
        *,
        patience: Patience | None = None,
        wire: httpx.BaseTransport | None = None,
    ) -> None:
        """Make one.

        Args:
            address: of the server.
            token: signs every request; or a session.
            patience: with a busy server.
            wire: in the place of the network.
        """
        self.address = address
        self.patience = Patience() if patience is None else patience
        self._session = token if isinstance(token, Session) else None
        self._http = httpx.Client(
            base_url=address.origin,
            auth=token,
            follow_redirects=False,
            timeout=_TIMEOUTS,
            trust_env=not address.here,  # a proxy would see what goes over http
            headers={"Accept-Encoding": "identity", "User-Agent": f"casehaven/{version('casehaven')}"},
            transport=wire,
        )

    def close(self) -> None:
        """Close its connections; a session ends."""
        if self._session is not None:
            self._session.end(self._http)
            self._session = None
        self._http.close()

    def json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content: Content | None = None,
        key: str | None = None,
        hold: int = 0,
        most: int = JSON_MOST,
    ) -> Mapping[str, Any]:
        """Send a request and return the JSON object that answers it; an empty one for an answer without a body.

        Args:
            method: of HTTP.
            path: below the server's address.
            query: of the path.
            body: sent as JSON.
            content: sent as it is.
            key: the request's idempotency key.
            hold: seconds for which the server may hold the answer until a job has ended.
            most: bytes of the answer.

        Raises:
            RefusedError: the server refused.
            UnreachableError: it did not answer.
            UnexpectedAnswerError: it answered with something else.
        """
        headers = {"Accept": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        if hold:
            headers["Prefer"] = f"wait={hold}"

        def once() -> Mapping[str, Any]:
            with self._answer(method, path, query, body, content, headers) as answer:
                return _object(_bounded(answer, most))

        return self._patiently(once, again=method in _SAFE or key is not None)

    def download(self, path: str, *, most: int, into: Callable[[Iterator[bytes]], None]) -> None:
        """Fetch a file.

        Args:
            path: below the server's address.
            most: bytes; one more is refused.
            into: takes its pieces; called anew where an attempt broke off.

        Raises:
            RefusedError, UnreachableError, UnexpectedAnswerError: see `json`.
        """

        def once() -> None:
            with self._answer("GET", path, None, None, None, {"Accept": "application/octet-stream"}) as answer:
                into(_pieces(answer, most, seconds=None))

        self._patiently(once, again=True)

    def _patiently(self, once: Callable[[], T], *, again: bool) -> T:
        for attempt in range(1, self.patience.attempts + 1):
            last = not again or attempt == self.patience.attempts
            try:
                return once()
            except UnreachableError:
                if last:
                    raise
                pause = self.patience.before(attempt)
            except RefusedError as error:
                if last or not _worth_repeating(error):
                    raise
                said = error.retry_after_seconds
                if said is not None and said > self.patience.most_seconds:
                    raise
                pause = self.patience.before(attempt) if said is None else float(said)
            self.patience.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Any,
        content: Content | None,
        headers: dict[str, str],
    ) -> Iterator[httpx.Response]:
        """Open a good answer; its body is still to be read."""
        if content is not None:
            headers = {**headers, "Content-Type": "application/octet-stream", "Content-Length": str(content.size)}
        pieces = None if content is None else iter(content.pieces())
        try:
            with self._http.stream(method, path, params=query, json=body, content=pieces, headers=headers) as answer:
                if answer.headers.get("content-encoding", "identity").lower() != "identity":
                    raise UnexpectedAnswerError("the server compressed an answer that was asked for as it is")
                if answer.is_redirect or 300 <= answer.status_code < 400 or answer.status_code < 200:
                    raise UnexpectedAnswerError(
                        "the server led elsewhere; the token is sent to the named address alone"
                    )
                if answer.status_code >= 400:
                    raise refusal(answer.status_code, _problem(answer), retry_after(answer.headers.get("retry-after")))
                yield answer
        except httpx.ConnectError as error:
            raise UnreachableError(f"{self.address.origin} cannot be reached{_why(error)}") from None
        except httpx.TimeoutException:
            raise UnreachableError(f"{self.address.origin} did not answer in time") from None
        except httpx.TransportError:
            raise UnreachableError(f"the connection to {self.address.origin} broke") from None
        except httpx.HTTPError:
            raise UnexpectedAnswerError(f"{self.address.origin} does not speak HTTP as expected") from None


def retry_after(unverified: str | None) -> int | None:
    """Return the seconds that the header names, as a number or as a date; None without one.

    >>> retry_after("7"), retry_after("soon"), retry_after("-3")
    (7, None, None)
    """
    if unverified is None or len(unverified) > 64:
        return None
    if unverified.isascii() and unverified.isdigit():
        return min(int(unverified), 86_400)
    try:
        moment = parsedate_to_datetime(unverified)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        return None
    return min(max(0, int((moment - datetime.now(UTC)).total_seconds()) + 1), 86_400)


def _worth_repeating(error: RefusedError) -> bool:
    """Whether the same request may fare better in a moment (rule 1)."""
    if error.status not in _BUSY or error.job_id is not None:
        return False
    return error.status != 503 or error.retry_after_seconds is not None or error.code == "unknown"


def _why(error: httpx.ConnectError) -> str:
    """Say that a certificate was refused; a library's words are not repeated."""
    return ": its certificate cannot be trusted" if "CERTIFICATE_VERIFY_FAILED" in str(error) else ""


def _pieces(answer: httpx.Response, most: int, seconds: float | None) -> Iterator[bytes]:
    until = None if seconds is None else time.monotonic() + seconds
    size = 0
    for piece in answer.iter_raw():
        size += len(piece)
        if size > most:
            raise UnexpectedAnswerError(f"the server sent more than {most:,} bytes, the most that is taken here")
        if until is not None and time.monotonic() > until:
            raise UnexpectedAnswerError(f"the server took more than {seconds:.0f} seconds for one answer")
        yield piece


def _bounded(answer: httpx.Response, most: int) -> bytes:
    return b"".join(_pieces(answer, most, BODY_SECONDS))


def _object(unverified: bytes) -> Mapping[str, Any]:
    if not unverified:
        return {}
    try:
        found = parse_json(unverified, "the answer")
    except JsonFaultError:
        raise UnexpectedAnswerError("the server answered with something that is not JSON with one meaning") from None
    if not isinstance(found, dict):
        raise UnexpectedAnswerError("the server answered with JSON that is no object")
    return found


def _problem(answer: httpx.Response) -> Mapping[str, Any]:
    """Return what the server says of a refusal; empty where it is nothing that the service says."""
    try:
        return _object(_bounded(answer, PROBLEM_MOST))
    except UnexpectedAnswerError:
        return {}
