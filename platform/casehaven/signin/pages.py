"""The pages of sign-in: sign in, set up, join, recover, and one's own credentials.

1. They are whole without a network but this service's: one script, one style, no picture, nothing from elsewhere. The content security policy allows nothing else, no inline script,
   no frame around them, and no form that is sent without the script.
2. They hold nothing about anybody: what is shown comes from the routes of `signin.routes`, under the session's cookie.
3. A code, a secret of an app and recovery codes are shown once and stored nowhere in the browser.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Annotated, Final

from fastapi import Depends, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape

from casehaven.core.routing import GuardedRouter
from casehaven.organisations.errors import NotFoundError
from casehaven.organisations.names import TITLE_CHARACTERS
from casehaven.signin import setup
from casehaven.signin.passwords import CHARACTERS_MAX, CHARACTERS_MIN
from casehaven.signin.principal import PAGE_HEADER, site_of
from casehaven.signin.site import Site

router = GuardedRouter(include_in_schema=False)

Here = Annotated[Site, Depends(site_of)]

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Rule 1."""

_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@router.get("/", open_to_all=True)
def root() -> Response:
    """Lead to the page of sign-in."""
    return RedirectResponse("/sign-in", status_code=303, headers=_HEADERS)


@router.get("/sign-in", open_to_all=True)
def sign_in_page() -> Response:
    """Sign in with a passkey, or with password and code."""
    return _page("sign_in", "Sign in")


@router.get("/set-up", open_to_all=True)
def set_up_page(site: Here) -> Response:
    """Make the first organisation with the code that the terminal showed; the page is not there when nothing is to be set up."""
    if not setup.is_open(site):
        raise NotFoundError
    return _page("set_up", "Set up")


@router.get("/join", open_to_all=True)
def join_page() -> Response:
    """Begin with the code of an invitation."""
    return _page("join", "Join")


@router.get("/recover", open_to_all=True)
def recover_page() -> Response:
    """Get back in with the halves of a code that two members gave."""
    return _page("recover", "Get back in")


@router.get("/account", open_to_all=True)
def account_page() -> Response:
    """One's own ways to sign in."""
    return _page("account", "Your ways to sign in")


@router.get("/assets/sign-in.js", open_to_all=True)
def script() -> Response:
    """The script of the pages."""
    return Response(_asset("sign_in.js"), media_type="text/javascript", headers=_HEADERS)


@router.get("/assets/sign-in.css", open_to_all=True)
def style() -> Response:
    """The style of the pages, with the colours of all pages of the project."""
    return Response(_colours() + _asset("sign_in.css"), media_type="text/css", headers=_HEADERS)


def _page(name: str, title: str) -> Response:
    html = (
        _environment()
        .get_template(name)
        .render(
            title=title,
            page=name,
            page_header=PAGE_HEADER,
            password_min=CHARACTERS_MIN,
            password_max=CHARACTERS_MAX,
            title_max=TITLE_CHARACTERS,
        )
    )
    return HTMLResponse(html, headers=_HEADERS)


@cache
def _environment() -> Environment:
    names = ("base", "sign_in", "set_up", "join", "recover", "account")
    return Environment(
        loader=DictLoader({name: _asset(f"{name}.html") for name in names}),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _colours() -> str:
    """The design tokens of the showcase; its package is not loaded for them, because it brings the privacy engine along."""
    found = json.loads(files("casesynth").joinpath("showcase/assets/tokens.json").read_text(encoding="utf-8"))
    light, dark = (
        ";".join(f"--{name}:{colour}" for name, colour in found[theme].items()) for theme in ("light", "dark")
    )
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{color-scheme:dark;{dark}}}}}\n"
    )


@cache
def _asset(name: str) -> str:
    return files("casehaven.signin").joinpath("assets", name).read_text(encoding="utf-8")
