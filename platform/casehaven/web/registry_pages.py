"""Pages of the registry, for everybody: what was published, with its guarantee, its quality, its limits, and how to cite and check it.

1. A release page says what the record says, and numbers of the release's own signed files (`casehaven.web.release_numbers`). Everything is readable without a script.
2. A withdrawn version keeps its page with the notice first; its numbers, its showcase and its fact sheet are shown no more.
3. The showcase is a page of its own with a script of its own. It is opened only when its bytes are those of the record, and in a sandbox: it has no origin, no cookie, nothing to send to and nothing to fetch from.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import Annotated, Any, Final

from fastapi import Query, Response
from fastapi.responses import HTMLResponse

from casehaven.organisations.errors import NotFoundError
from casehaven.registry.errors import ReleaseWithdrawnError
from casehaven.registry.identifiers import PATTERN
from casehaven.web.charts import Bar
from casehaven.web.desk import HEADERS, Anybody, Desk
from casehaven.web.release_numbers import Count, ReleaseNumbers, names_of, numbers_of, rounded_up
from casehaven.web.router import PageRouter

router = PageRouter()

SANDBOX: Final = (
    "sandbox allow-scripts allow-downloads; connect-src 'none'; img-src data:; font-src 'none'; object-src 'none'; "
    "frame-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Rule 3; the file's own policy, which holds too, names its one script and style by their digests."""
SHOWCASE: Final = "showcase.html"
SHOWCASE_BYTES: Final = 4 * 1024 * 1024
"""A larger one is a download alone."""
BARS: Final = 8
"""Values of an attribute that the fact sheet draws; the others are in the tables of the release."""
FACTOR_MOST: Final = 20
"""From this epsilon on the factor is no promise that means anything: it is written as infinite."""
_SEARCHED: Final = 1_000
_PAGE: Final = 50

NAME: Final = re.compile(rf"{PATTERN}(\.v[1-9][0-9]{{0,3}})?")
"""Of a record, with its version or without."""

Cursor = Annotated[str | None, Query(max_length=64)]


@router.get("/registry")
async def registry(desk: Anybody, q: Annotated[str, Query(max_length=100)] = "", cursor: Cursor = None) -> Response:
    """What was published, newest first; with `q` those whose title has these words."""
    words = q.casefold().split()
    found = await desk.get("/v1/registry", cursor=cursor, limit=_PAGE)
    items, following = found["items"], found["next"]
    if words:
        looked = len(items)
        items = [each for each in items if _has(each, words)]
        while following and looked < _SEARCHED:
            found = await desk.get("/v1/registry", cursor=following, limit=200)
            looked, following = looked + len(found["items"]), found["next"]
            items += [each for each in found["items"] if _has(each, words)]
    return desk.page("registry/list.html", records=items, next=following, q=q)


@router.get("/registry/log")
async def log(desk: Anybody, cursor: Cursor = None) -> Response:
    """The public log: what was published and withdrawn, oldest first."""
    found = await desk.get("/v1/registry/log", cursor=cursor, limit=_PAGE)
    return desk.page("registry/log.html", entries=found["items"], next=found["next"], signer=found["signer"])


@router.get("/registry/{record}")
async def show(desk: Anybody, record: str) -> Response:
    """A release."""
    found = await record_of(desk, record)
    numbers = None if found["withdrawal"] else await numbers_of(desk, found)
    may_withdraw = desk.may("release.approve") and await _is_own(desk, found)
    shared = _shared(desk, found)
    return desk.page("registry/show.html", record=found, numbers=numbers, may_withdraw=may_withdraw, **shared)


@router.get("/registry/{record}/facts")
async def fact_sheet(desk: Anybody, record: str) -> Response:
    """The main numbers on a sheet to print."""
    found, numbers = await _standing(desk, record)
    return desk.page("registry/facts.html", record=found, numbers=numbers, bars=BARS, bar=_bar, **_shared(desk, found))


@router.get("/registry/{record}/showcase")
async def showcase(desk: Anybody, record: str) -> Response:
    """The showcase, in a sandbox."""
    found = await record_of(desk, record)
    if found["withdrawal"]:
        raise ReleaseWithdrawnError
    listed = next((each for each in found["files"] if each["name"] == SHOWCASE), None)
    if listed is None or listed["size"] > SHOWCASE_BYTES:
        raise NotFoundError
    page = (await desk.ask("GET", "/v1/registry/{}/files/{}", str(found["id"]), SHOWCASE)).checked().content
    if hashlib.sha256(page).hexdigest() != listed["sha256"]:
        raise NotFoundError
    return HTMLResponse(page, 200, {**HEADERS, "Content-Security-Policy": SANDBOX, "Referrer-Policy": "no-referrer"})


def _bar(label: str, count: Count) -> Bar:
    return Bar(label=label, value=count.estimate, low=count.low, high=count.high)


def _has(record: dict[str, Any], words: list[str]) -> bool:
    said = f"{record['title']} {record['id']} {record['creator'] or ''}".casefold()
    return all(word in said for word in words)


async def record_of(desk: Desk, name: str) -> dict[str, Any]:
    """Return a record.

    Raises:
        NotFoundError: it is no name of one, or there is none.
    """
    if not NAME.fullmatch(name):
        raise NotFoundError
    found: dict[str, Any] = await desk.get("/v1/registry/{}", name)
    found.setdefault("indicators", [])  # a record of an earlier version of this software
    return found


async def _is_own(desk: Desk, record: dict[str, Any]) -> bool:
    """Tell whether the reader's organisation drew a release: the route tells its draft to its own members alone."""
    drawn = await desk.ask("GET", "/v1/releases/{}", str(record["release"]))
    return drawn.problem is None and bool(drawn.body.get("draft"))


async def _standing(desk: Desk, record: str) -> tuple[dict[str, Any], ReleaseNumbers]:
    """Return a record that was not withdrawn, with its numbers.

    Raises:
        ReleaseWithdrawnError: it was.
        NotFoundError: its tables are too large for a page.
    """
    found = await record_of(desk, record)
    if found["withdrawal"]:
        raise ReleaseWithdrawnError
    numbers = await numbers_of(desk, found)
    if numbers is None:
        raise NotFoundError
    return found, numbers


def _shared(desk: Desk, record: dict[str, Any]) -> dict[str, Any]:
    """What the page and the fact sheet of a release both show."""
    showcase = next((each for each in record["files"] if each["name"] == SHOWCASE), None)
    return {
        "named": names_of(str(record["schema"]), desk.words.language.code),
        "has_showcase": showcase is not None and showcase["size"] <= SHOWCASE_BYTES and not record["withdrawal"],
        "tables": _tables(record),
        "factor": _factor(float(record["guarantee"]["epsilon"])),
        "up": rounded_up,
        "kilobytes": lambda size: f"{max(1, round(size / 1000)):,} kB",
    }


def _factor(epsilon: float) -> str:
    """Write by what factor one person can change a chance, rounded up."""
    return f"{rounded_up(math.exp(epsilon), 1):,}" if epsilon < FACTOR_MOST else "∞"


def _tables(record: dict[str, Any]) -> list[tuple[str, str, dict[str, Any], dict[str, Any] | None]]:
    """Return each download with the one beside it that has HXL tags."""
    by_name = {str(each["name"]): each for each in record["downloads"]}
    return [
        (each["table"], each["format"], each, by_name.get(f"{each['table']}.hxl.{each['format']}"))
        for each in record["downloads"]
        if not each["hxl"]
    ]
