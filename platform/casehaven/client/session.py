"""A session: somebody signs in with a password and a code, for what a token may never do.

1. A token has no second factor, so it opens no record, erases nobody and approves nothing. Whoever does that signs in: the session begins with a fresh second factor, which counts for five minutes.
2. The session's value and its page value are kept in memory, shown nowhere, sent to the one address that was named, and ended on the server when the client is closed.
3. Password and code are sent once and not kept. A member who signs in with a passkey alone does these things on the pages of the service.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Final, NoReturn

import httpx

from casehaven.client.address import ServerAddress
from casehaven.client.errors import RefusedError, UnexpectedAnswerError, UnreachableError, refusal
from casehaven.client.fields import Fields
from casesynth.canonical import JsonFaultError, parse_json

COOKIE: Final = "__Host-casehaven-session"
PAGE_HEADER: Final = "X-Casehaven-Page"
_PLACE: Final = "/v1/session"
_VALUE: Final = re.compile(r"[A-Za-z0-9_.~=-]{20,400}")
_ANSWER_MOST: Final = 64 * 1024


class Session(httpx.Auth):
    """A session. It signs requests, and shows itself nowhere else."""

    def __init__(self, address: ServerAddress, value: str, page_value: str) -> None:
        """Take what the server gave at sign-in."""
        if not _VALUE.fullmatch(value) or not _VALUE.fullmatch(page_value):
            raise UnexpectedAnswerError("the server began a session in a form that is not known here")
        self.__value, self.__page = value, page_value
        self._origin = address.origin

    def __repr__(self) -> str:
        """Say that it is one, and not which."""
        return "Session(…)"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: it would be written somewhere."""
        raise TypeError("a session is not pickled")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request, as a page of the service does."""
        request.headers["Cookie"] = f"{COOKIE}={self.__value}"
        request.headers["Origin"] = self._origin
        request.headers[PAGE_HEADER] = self.__page
        yield request

    def end(self, http: httpx.Client) -> None:
        """End it on the server; where that cannot be reached, it ends by itself half an hour after its last use."""
        try:
            http.delete(_PLACE)
        except httpx.HTTPError:
            return


def begin_session(
    address: ServerAddress, handle: str, password: str, code: str, *, wire: httpx.BaseTransport | None = None
) -> Session:
    """Sign in.

    Args:
        address: of the server.
        handle: of the member.
        password: of the member.
        code: six digits of the app, or a recovery code.
        wire: in the place of the network.

    Raises:
        SignInNeededError: one of the three is wrong, and nobody is told which.
        TooManyRequestsError: too many were tried.
        UnreachableError, UnexpectedAnswerError: the server does not answer, or with something else.
    """
    body = {"handle": handle, "password": password, "code": code}
    with httpx.Client(
        base_url=address.origin,
        follow_redirects=False,
        timeout=60.0,
        trust_env=not address.here,
        headers={"Accept": "application/json", "Accept-Encoding": "identity", "Origin": address.origin},
        transport=wire,
    ) as http:
        try:
            with http.stream("POST", _PLACE, json=body) as answer:
                status, said, cookies = answer.status_code, _said(answer), answer.headers.get_list("set-cookie")
        except httpx.ConnectError:
            raise UnreachableError(f"{address.origin} cannot be reached") from None
        except httpx.HTTPError:
            raise UnreachableError(f"{address.origin} did not answer as expected") from None
    if status >= 400:
        raise _refused(status, said)
    values = [found[1] for line in cookies if (found := re.match(rf"{re.escape(COOKIE)}=([^;]*)", line))]
    if status != 201 or len(values) != 1:
        raise UnexpectedAnswerError("the server did not begin a session")
    return Session(address, values[0], Fields(said, "session").text("page_value"))


def _said(answer: httpx.Response) -> object:
    """Read a small answer; more than a session needs is refused unread."""
    held = bytearray()
    for piece in answer.iter_raw():
        held += piece
        if len(held) > _ANSWER_MOST:
            raise UnexpectedAnswerError("the server said more than a session needs")
    try:
        return parse_json(bytes(held), "the answer") if held else {}
    except JsonFaultError:
        raise UnexpectedAnswerError("the server answered with something that is not JSON with one meaning") from None


def _refused(status: int, said: object) -> RefusedError:
    return refusal(status, said if isinstance(said, dict) else {})
