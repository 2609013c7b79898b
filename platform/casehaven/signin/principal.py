"""From a request to the principal who asks.

1. A request has a token (`Authorization: Bearer chv_...`) or a session's cookie. With a token the cookie is not looked at.
2. With a cookie, a request that changes something must come from a page of this service: `Origin` is the site's own (or, where a browser sends none, `Sec-Fetch-Site` says
   `same-origin`), and `X-Casehaven-Page` holds the session's page value. `Sec-Fetch-Site`, where it is sent, must say `same-origin` in any case.
3. A missing, unknown, expired or ended credential, and one of a member who ended, are refused alike.
4. Rights are read from the database at every request. A role that was taken away is gone at the next one.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from fastapi import Request
from sqlalchemy import Connection

from casehaven.organisations import members
from casehaven.organisations.access import Operation, Principal
from casehaven.organisations.errors import CrossSiteError, NotSignedInError
from casehaven.organisations.members import Member
from casehaven.organisations.roles import rights_of
from casehaven.signin.sessions import Session, find_session, key_of, page_value, touch_session
from casehaven.signin.site import Site
from casehaven.signin.tokens import find_token, touch_token

SESSION_COOKIE: Final = "__Host-casehaven-session"
DEVICE_COOKIE: Final = "__Host-casehaven-device"
PAGE_HEADER: Final = "X-Casehaven-Page"

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BEARER: Final = "bearer "


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A browser's session with its member."""

    session: Session
    member: Member
    value: str
    """Of the cookie."""


def site_of(request: Request) -> Site:
    """Return where the app runs."""
    site = request.app.state.site
    assert isinstance(site, Site)
    return site


def current_principal(request: Request) -> Principal:
    """Return who asks.

    Raises:
        NotSignedInError: nobody who is known (rule 3), or a session that may only make credentials.
        CrossSiteError: a request with a cookie that changes something and did not come from a page of this service.
    """
    site = site_of(request)
    given = request.headers.get("authorization")
    if given is not None:
        return _of_token(site, given)
    visit = current_visit(request)
    if visit.session.kind != "full":
        raise NotSignedInError
    with site.reading() as connection:
        return _principal(
            connection,
            visit.member,
            session_id=visit.session.id,
            token_id=None,
            stepped_up=visit.session.stepped_up(site.clock()),
            session_key=key_of(visit.value),
        )


def current_visit(request: Request) -> Visit:
    """Return the session of the request's cookie, of either kind.

    Raises:
        NotSignedInError: there is none, or it ended.
        CrossSiteError: see `current_principal`.
    """
    site = site_of(request)
    value = request.cookies.get(SESSION_COOKIE)
    if value is None:
        raise NotSignedInError
    _check_page(request, site, value)
    with site.reading() as connection:
        found = find_session(connection, site.clock(), value)
        if found is None:
            raise NotSignedInError
        session, due = found
        member = members.member_by_id(connection, session.member)
    if member.state == "ended" or (session.kind == "full" and not member.active):
        raise NotSignedInError
    if due:
        with site.writing() as connection:
            touch_session(connection, site.clock(), session)
    return Visit(session=session, member=member, value=value)


def carries_credential(request: Request) -> bool:
    """Whether a request has a token or a session's cookie, whatever it is worth."""
    return request.headers.get("authorization") is not None or SESSION_COOKIE in request.cookies


def is_known(request: Request) -> bool:
    """Whether a request's token or session is one that lasts; decides nothing but that its sender is no visitor."""
    site = site_of(request)
    given, value = request.headers.get("authorization"), request.cookies.get(SESSION_COOKIE, "")
    with site.reading() as connection:
        if given is not None:
            return find_token(connection, site.clock(), given[len(_BEARER) :].strip()) is not None
        return find_session(connection, site.clock(), value) is not None


def check_origin(request: Request) -> None:
    """Refuse a request that changes something and comes from another site's page; also before anybody is signed in.

    Raises:
        CrossSiteError: it does.
    """
    if request.method in _SAFE:
        return
    site = site_of(request)
    origin, fetch = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if fetch not in (None, "same-origin") or origin not in (None, site.origin) or (origin is None and fetch is None):
        raise CrossSiteError


def _check_page(request: Request, site: Site, value: str) -> None:
    if request.method in _SAFE:
        return
    check_origin(request)
    given = request.headers.get(PAGE_HEADER, "")
    if not hmac.compare_digest(given.encode("latin-1", "replace"), page_value(value).encode("ascii")):
        raise CrossSiteError


def _of_token(site: Site, header: str) -> Principal:
    if header[: len(_BEARER)].lower() != _BEARER:
        raise NotSignedInError
    value = header[len(_BEARER) :].strip()
    now = site.clock()
    with site.reading() as connection:
        found = find_token(connection, now, value)
        if found is None:
            raise NotSignedInError
        token, due = found
        member = members.member_by_id(connection, token.member)
        if not member.active:
            raise NotSignedInError
        principal = _principal(
            connection,
            member,
            session_id=None,
            token_id=token.id,
            stepped_up=False,
            session_key=key_of(value),
            only=token.operations,
        )
    if due:
        with site.writing() as connection:
            touch_token(connection, now, token)
    return principal


def _principal(
    connection: Connection,
    member: Member,
    *,
    session_id: str | None,
    token_id: str | None,
    stepped_up: bool,
    session_key: bytes,
    only: frozenset[Operation] | None = None,
) -> Principal:
    rights = rights_of(member.kind, member.roles)
    return Principal(
        member_id=member.id,
        handle=member.handle,
        organisation=member.organisation,
        roles=tuple(sorted(member.roles)),
        rights=rights if only is None else frozenset(right for right in rights if right.operation in only),
        datasets=members.granted_datasets(connection, member.id),
        session_id=session_id,
        token_id=token_id,
        stepped_up=stepped_up,
        session_key=session_key,
    )
