"""Every page as every role: it is there, refused or not there, and nothing else; with its headers, its language, its size, and nothing of a record."""

from __future__ import annotations

import importlib
import re
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest
from tests.service.api.conftest import CANARY
from tests.web.pages import Reader

from casehaven.api import ROUTERS
from casehaven.core.boundary import HEADERS
from casehaven.web.assets import assets
from casehaven.web.desk import POLICY

if TYPE_CHECKING:
    from tests.service.api.conftest import House
    from tests.web.conftest import WindowAs

ROUTES: Final = {
    route.path: sorted(each.name for each in route.dependant.query_params if each.field_info.is_required())
    for module in ROUTERS
    if module.startswith("casehaven.web.")
    for route in importlib.import_module(module).router.routes
    if "GET" in route.methods and not route.path.startswith("/assets/") and route.path != "/"
}
"""Every path that shows a page or a file to a reader, with what its address has to name."""
PAGES: Final = sorted(ROUTES)
BYTES: Final = 250_000
"""The most that a page weighs with its style and scripts."""
PUBLIC_BYTES: Final = 150_000
"""The same of the registry and its releases."""
PUBLIC: Final = ("/registry",)
OPEN: Final = ("/registry", "/sign-in", "/set-up", "/join", "/recover")
"""Pages, and what is below them, that nobody has to be signed in for."""
OWN: Final = {"cache-control", "referrer-policy", "content-security-policy"}
STATUS: Final = {200, 303, 403, 404}
"""What a reader may meet: the page, the way to another, a refusal, nothing there."""


def filled(path: str) -> str:
    """A path with things of north's in its places, or made-up names of things."""
    known = {"organisation": "north", "dataset": "cases", "handle": "rosa", "name": "manifest.json"}
    known["cap_raise"] = "0" * 64
    bare = re.sub(r"\{(\w+)(:\w+)?\}", lambda found: known.get(found[1], secrets.token_hex(16)), path)
    return bare + "".join(
        f"{'&' if place else '?'}{name}={secrets.token_hex(16)}" for place, name in enumerate(ROUTES.get(path, ()))
    )


@pytest.fixture(scope="module")
def people(house: House) -> dict[str, Reader]:
    """A reader of each role."""
    return {role: Reader(caller=caller) for role, caller in house.everybody.items()}


def test_the_table_holds_the_pages_of_every_family() -> None:
    assert {"/home", "/welcome", "/members", "/tokens", "/jobs", "/training", "/datasets", "/account"} <= set(PAGES)
    assert len(PAGES) > 15


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_there_or_refused_for_every_role(people: dict[str, Reader], path: str) -> None:
    for role, reader in people.items():
        answer = reader.get(filled(path))
        assert answer.status_code in STATUS, (role, answer.status_code)
        _check_headers(dict(answer.headers), path)
        assert CANARY not in answer.text, role
        if answer.headers.get("content-type", "").startswith("text/html") and answer.status_code != 303:
            _check_page(answer.text, "en", "ltr")
            bound = PUBLIC_BYTES if path.startswith(PUBLIC) else BYTES
            assert weight(answer.content) < bound, (role, weight(answer.content))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_in_arabic_from_right_to_left(house: House, path: str) -> None:
    answer = Reader(caller=house.north, language="ar").get(filled(path))
    if answer.headers.get("content-type", "").startswith("text/html") and answer.status_code != 303:
        _check_page(answer.text, "ar", "rtl")


@pytest.mark.parametrize("path", PAGES)
def test_whoever_is_not_signed_in_reads_open_pages_alone(house: House, path: str) -> None:
    answer = house.running.client().get(filled(path), headers={"Accept": "text/html"})
    if path.startswith(OPEN):
        assert answer.status_code in (200, 404), answer.status_code
    elif path != "/account":  # its script finds out, or the page leads there itself
        assert answer.status_code in (303, 404), answer.status_code
        assert answer.headers.get("location", "/sign-in").startswith("/sign-in")
    assert CANARY not in answer.text


def _check_headers(found: dict[str, str], path: str) -> None:
    for name, value in HEADERS.items():
        assert name in found, (path, name)
        assert name in OWN or found[name] == value, (path, name)
    policy = found["content-security-policy"]
    assert policy in (POLICY, HEADERS["content-security-policy"]) or "'unsafe" not in policy, path
    assert found["referrer-policy"] in ("same-origin", "no-referrer")
    if not path.startswith(PUBLIC):
        assert found["cache-control"] == "no-store", path


def _check_page(text: str, language: str, direction: str) -> None:
    assert f'<html lang="{language}" dir="{direction}">' in text
    assert re.search(r"<title>[^<]+ · Casehaven</title>", text)
    assert len(re.findall(r"<h1[ >]", text)) == 1
    assert 'class="skip"' in text
    assert list(_elsewhere(text)) == []
    for inline in (
        r"<style",
        r"\sstyle=",
        r"\son\w+=",
        r"javascript:",
        r"<script(?![^>]*\ssrc=)(?![^>]*application/json)",
    ):
        assert not re.search(inline, text), inline


def _elsewhere(text: str) -> Iterator[str]:
    """What the page would load, or send, elsewhere."""
    for tag in re.findall(r"<(?:script|link|img|form|iframe|source|video|audio|object|embed)\b[^>]*>", text):
        for value in re.findall(r'(?:src|href|action|srcset|data)="([^"]*)"', tag):
            if not (value.startswith("/") and not value.startswith("//")) and not value.startswith("data:"):
                yield value


def weight(page: bytes) -> int:
    """Bytes of a page with the style and scripts that it names, before any compression."""
    names = set(re.findall(rb'"/assets/web/[0-9a-f]+/([\w.-]+)"', page))
    return len(page) + sum(len(assets()[name.decode()]) for name in names)


def test_a_planted_fault_of_a_page_is_found() -> None:
    good = '<html lang="en" dir="ltr"><title>A · Casehaven</title><a class="skip"></a><h1>A</h1>'
    _check_page(good, "en", "ltr")
    for fault in (
        '<p style="x">',
        "<script>1</script>",
        '<img src="https://elsewhere.example/x.png">',
        '<a onclick="x">',
        '<form action="//elsewhere.example">',
        "<h1>B</h1>",
    ):
        with pytest.raises(AssertionError):
            _check_page(good + fault, "en", "ltr")


MENUS: Final = ("steward", "researcher", "policymaker", "privacy_officer", "caseworker", "operator")


@pytest.mark.parametrize("role", MENUS)
def test_every_page_of_the_menu_opens(people: dict[str, Reader], role: str) -> None:
    home = people[role].get("/home").text
    menu = re.search(r"<nav.*?</nav>", home, re.DOTALL)
    assert menu is not None
    for path in re.findall(r'href="([^"]+)"', menu[0]):
        answer = people[role].get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        assert path == "/account" or 'aria-current="page"' in answer.text, path


LOOKS: Final = [("en", "light", 1280), ("ar", "dark", 375), ("en", "light", 320)]


@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS)
def test_axe_finds_no_barrier_on_the_pages_of_everybody(
    house: House, window_as: WindowAs, language: str, scheme: str, width: int
) -> None:
    window = window_as(house.north, color_scheme=scheme, locale=language, viewport={"width": width, "height": 800})
    for path in (
        "/home",
        "/welcome",
        "/members",
        "/members/rosa",
        "/tokens",
        "/jobs",
        "/training",
        "/grants",
        "/account",
        "/nothing",
    ):
        page = window.go(path)
        page.locator("h1").wait_for()
        assert window.barriers() == [], path
        across = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert across <= 0, f"{path} is {across} px wider than the screen"
