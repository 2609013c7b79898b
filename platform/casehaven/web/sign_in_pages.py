"""The pages of sign-in: sign in, set up, join, recover, and one's own credentials.

1. They need their script: passkeys work with it only. It sends forms as JSON to the routes of `casehaven.signin.routes`, under the session's cookie. A form that a browser sends by itself, because the script is
   not there yet or not at all, comes in a body that nobody reads, never in an address, and leads back to its page.
2. The pages hold nothing about anybody beside what every page shows, and on one's own account which ways to sign in are set.
3. A code, a secret of an app and recovery codes are shown once and stored nowhere in the browser.
"""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from casehaven.organisations.errors import NotFoundError, NotSignedInError
from casehaven.organisations.names import TITLE_CHARACTERS
from casehaven.organisations.roles import Role
from casehaven.signin import setup
from casehaven.signin.passwords import CHARACTERS_MAX, CHARACTERS_MIN
from casehaven.signin.principal import PAGE_HEADER, site_of
from casehaven.web.desk import Anybody, Desk
from casehaven.web.router import PageRouter
from casehaven.web.words import all_words

router = PageRouter()

SAID: Final = (
    "no_answer",
    "passkey_refused",
    "password_set",
    "password_none",
    "app_set",
    "app_none",
    "here",
    "elsewhere",
    "remove",
    "end",
    "end_of",
)
"""Words that the script fills in."""


@router.get("/")
def root(desk: Anybody) -> Response:
    """Lead home, or to the page of sign-in."""
    return desk.to("/home" if desk.session else "/sign-in")


@router.get("/sign-in")
def sign_in_page(desk: Anybody) -> Response:
    """Sign in with a passkey, or with password and code."""
    return _page(desk, "sign_in")


@router.get("/set-up")
def set_up_page(desk: Anybody) -> Response:
    """Make the first organisation with the code that the terminal showed; the page is not there when nothing is to be set up."""
    if not setup.is_open(site_of(desk.request)):
        raise NotFoundError
    return _page(desk, "set_up")


@router.get("/join")
def join_page(desk: Anybody) -> Response:
    """Begin with the code of an invitation."""
    return _page(desk, "join")


@router.get("/recover")
def recover_page(desk: Anybody) -> Response:
    """Get back in with the halves of a code that two members gave."""
    return _page(desk, "recover")


@router.get("/account")
async def account_page(desk: Anybody) -> Response:
    """One's own ways to sign in; for somebody who is joining, too."""
    if desk.session is None and not getattr(desk.request.state, "enrolling", False):
        raise NotSignedInError
    ways = None if desk.session is None else await desk.get("/v1/credentials")
    return _page(desk, "account", ways=ways)


@router.post("/sign-in")
@router.post("/set-up")
@router.post("/join")
@router.post("/recover")
@router.post("/account")
def without_script(request: Request) -> Response:
    """Lead back to the page of a form that its script did not send (rule 1)."""
    return RedirectResponse(request.url.path, 303)


def _page(desk: Desk, name: str, **shown: Any) -> Response:
    code = desk.words.language.code
    found = all_words(code)
    said = {key: found[f"sign_in.{key}"] for key in SAID}
    said |= {f"role_{role}": found[f"home.role_{role}"] for role in Role}
    if code != "en":  # where there are no words of one's own, the script shows those of the route
        said |= {key: text for key, text in found.items() if key.startswith("problems.")}
    return desk.page(
        f"sign_in/{name}.html",
        name=name,
        words=json.dumps(said, ensure_ascii=False),
        page_header=PAGE_HEADER,
        password_min=CHARACTERS_MIN,
        password_max=CHARACTERS_MAX,
        title_max=TITLE_CHARACTERS,
        **shown,
    )
