"""Visitors of open routes and pages are counted by their address, once for each request; members are not, and the files of a page are not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from tests.front_door import ORIGIN

from casehaven.api import bounded, create_app
from casehaven.core.limits import LIMITS, Limit, Limits
from casehaven.core.problems import MEDIA_TYPE
from casehaven.core.routing import OPEN, OPERATION, UNCOUNTED, GuardedRoute
from casehaven.core.web import ApiSettings, Service
from casehaven.registry.rows import add_record
from casehaven.signin.principal import SESSION_COOKIE
from casehaven.web.assets import STYLE, asset_url

if TYPE_CHECKING:
    from tests.front_door import FrontDoor

OPEN_ROUTES = ("/v1/registry", "/v1/registry/log", "/v1/registry/log.jsonl", "/v1/registry/feed.json", "/v1")
ADDRESS = "192.0.2.7"


@dataclass
class Street:
    """An api that lets a visitor do three things at once, and one more every ten seconds of a clock that the test moves."""

    door: FrontDoor
    now: float = 0.0
    app: FastAPI = field(init=False)

    def __post_init__(self) -> None:
        service = Service(
            store=self.door.store,
            settings=ApiSettings(origin=self.door.site.origin, log=False),
            key=os.urandom(32),
            clock=self.door.clock,
            limits=Limits(limits={**LIMITS, "visitor": Limit(burst=3, per_minute=6)}),
            monotonic=lambda: self.now,
        )
        self.app = create_app(service, self.door.site)

    def get(self, path: str, *, address: str = ADDRESS, **headers: str) -> httpx.Response:
        """Read, in a thread of its own."""
        with ThreadPoolExecutor(1) as threads:
            return threads.submit(lambda: asyncio.run(self._get(path, address, headers))).result()

    async def _get(self, path: str, address: str, headers: Mapping[str, str]) -> httpx.Response:
        wire = httpx.ASGITransport(app=bounded(self.app), client=(address, 1234))
        async with httpx.AsyncClient(transport=wire, base_url=ORIGIN) as client:
            return await client.get(path, headers=dict(headers))

    def statuses(self, *paths: str, **options: Any) -> list[int]:
        return [self.get(path, **options).status_code for path in paths]


def plant(street: Street, count: int) -> None:
    """Publish releases in the rows alone, as a list reads them."""
    names = ("state", "published", "creator", "schema", "licence", "pooled", "organisations", "people", "withdrawal")
    losses = {"epsilon": 1, "delta": 1e-6, "epsilon_per_person": 1}
    with street.door.store.writing() as connection:
        for number in range(count):
            concept = f"CHV-0000-0000-{number:04}"
            name = f"{concept}.v1"
            document = {**dict.fromkeys(names, ""), "id": name, "concept": concept, "version": 1, "guarantee": losses}
            add_record(
                connection,
                name=name,
                concept=concept,
                version=1,
                release_id=f"{number:032}",
                organisation="north",
                document={**document, "title": "Shelters"},
                now=number,
            )


@pytest.fixture
def street(door: FrontDoor) -> Street:
    return Street(door=door)


def test_a_visitor_who_asks_too_much_is_told_when_to_come_back(street: Street) -> None:
    assert street.statuses(*OPEN_ROUTES[:3]) == [200] * 3
    refused = street.get("/v1/registry")
    assert (refused.status_code, refused.headers["content-type"]) == (429, MEDIA_TYPE)
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("rate-limited", "10")
    assert street.statuses(*OPEN_ROUTES) == [429] * 5
    assert street.statuses("/v1/registry", address="192.0.2.8") == [200]  # somebody else
    street.now = 10.0
    assert street.statuses("/v1/registry", "/v1/registry") == [200, 429]


def test_a_page_counts_once_however_many_routes_it_asks(street: Street) -> None:
    plant(street, 300)
    asked: list[str] = []
    for route in street.app.routes:
        if isinstance(route, GuardedRoute) and route.path.startswith("/v1"):
            _listen(route, asked)
    assert street.statuses(*["/registry?q=harbour"] * 3) == [200] * 3
    assert asked == ["/v1/registry"] * 9  # a search reads page after page
    assert street.statuses("/registry", "/v1/registry") == [429, 429]


def test_a_page_that_is_refused_is_a_page_with_the_time(street: Street) -> None:
    street.statuses(*["/registry"] * 3)
    refused = street.get("/registry", accept="text/html")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
    assert refused.headers["content-type"].startswith("text/html")


def test_a_pages_files_are_not_counted(street: Street) -> None:
    assert street.statuses(*[asset_url(STYLE)] * 5) == [200] * 5
    assert street.statuses(*["/registry"] * 3) == [200] * 3
    assert street.statuses(asset_url(STYLE)) == [200]


def test_whoever_is_signed_in_is_no_visitor_and_an_invented_session_or_token_is_one(street: Street) -> None:
    ana = street.door.set_up()
    cookie = {"cookie": f"{SESSION_COOKIE}={ana.session}"}
    assert street.statuses(*["/v1/registry"] * 6, **cookie) == [200] * 6
    assert street.statuses("/v1/registry") == [200]
    invented = {"cookie": f"{SESSION_COOKIE}={'x' * 43}.{'y' * 43}"}
    assert street.statuses(*["/v1/registry"] * 2, **invented) == [200, 200]
    assert street.statuses("/v1/registry", **invented) == [429]
    assert street.statuses("/v1/registry", authorization="Bearer chv_" + "x" * 43) == [429]
    assert street.statuses("/v1/registry", **cookie) == [200]


def test_every_open_route_is_counted_but_the_files_of_pages(street: Street) -> None:
    said = {route.path: route.openapi_extra or {} for route in street.app.routes if isinstance(route, GuardedRoute)}
    assert {path for path, extra in said.items() if UNCOUNTED in extra} == {"/assets/web/{digest}/{name}"}
    assert {"/v1/registry", "/registry", "/v1/session", "/sign-in"} <= {
        path for path, extra in said.items() if extra.get(OPERATION) == OPEN
    }


def _listen(route: GuardedRoute, asked: list[str]) -> None:
    """Write down that a route was asked."""
    inner = route.app

    async def listening(scope: Any, receive: Any, send: Any) -> None:
        asked.append(route.path)
        await inner(scope, receive, send)

    route.app = listening
