"""Pages are clients of the routes below /v1, and of nothing else."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.responses import Response
from tests.front_door import FrontDoor, Person

from casehaven.api import create_app
from casehaven.core.limits import Limits
from casehaven.core.problems import ProblemError
from casehaven.core.web import ApiSettings, Service
from casehaven.signin.principal import PAGE_HEADER, SESSION_COOKIE
from casehaven.signin.sessions import page_value
from casehaven.web.backend import ANSWER_BYTES, Backend, place
from casehaven.web.errors import BackendError

HERE = Path(__file__).resolve().parents[2] / "platform" / "casehaven" / "web"


@pytest.fixture
def door(tmp_path: Path) -> FrontDoor:
    return FrontDoor.at(tmp_path / "store")


@pytest.fixture
def app(door: FrontDoor) -> FastAPI:
    settings = ApiSettings(origin=door.site.origin, log=False)
    service = Service(store=door.store, settings=settings, key=os.urandom(32), clock=door.clock, limits=Limits())
    return create_app(service, door.site)


def asked(app: FastAPI, person: Person | None, headers: dict[str, str] | None = None) -> Request:
    """A request for a page."""
    said = {**({"cookie": f"{SESSION_COOKIE}={person.session}"} if person else {}), **(headers or {})}
    raw = [(name.lower().encode(), value.encode()) for name, value in said.items()]
    scope = {"type": "http", "method": "GET", "path": "/home", "query_string": b"", "headers": raw, "app": app}
    return Request({**scope, "scheme": "http", "server": ("localhost", 8470), "client": ("127.0.0.1", 1), "state": {}})


def call(backend: Backend, *arguments: Any, **options: Any) -> Any:
    """Call a route, in a thread of its own: a browser test of the same process may have left a running loop in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: asyncio.run(backend.call(*arguments, **options))).result()


def test_a_page_asks_routes_below_v1_alone(app: FastAPI, door: FrontDoor) -> None:
    backend = Backend(asked(app, door.set_up()))
    for path in ("/home", "/v1", "//v1/jobs", "v1/jobs", "/assets/x", "http://elsewhere.example/v1/jobs"):
        with pytest.raises(BackendError):
            call(backend, "GET", path)
    assert call(backend, "GET", "/v1/principal").body["handle"] == "ana"


def test_what_changes_something_needs_origin_and_page_value_as_everywhere(app: FastAPI, door: FrontDoor) -> None:
    ana = door.set_up()
    body = {"code": "000000"}
    own = {"origin": door.site.origin}
    for headers, value in (({}, page_value(ana.session)), (own, ""), (own, "made-up"), ({"origin": "null"}, "")):
        backend = Backend(asked(app, ana, headers), page_value=value)
        answer = call(backend, "POST", "/v1/session/step-up", body)
        assert (answer.status, answer.problem.code) == (403, "cross-site")
    right = Backend(asked(app, ana, own), page_value=page_value(ana.session))
    assert call(right, "POST", "/v1/session/step-up", body).problem.code == "wrong-credentials"


def test_of_a_readers_headers_only_those_of_the_session_go_on(app: FastAPI, door: FrontDoor) -> None:
    seen: dict[str, str] = {}

    async def spy(request: Request) -> Response:
        seen.update(request.headers)
        return Response(b"{}", media_type="application/json")

    app.router.add_route("/v1/spy", spy)
    headers = {
        "authorization": "Bearer chv_" + "x" * 43,
        "x-forwarded-for": "192.0.2.1",
        "origin": "http://localhost:8470",
        "user-agent": "me",
        PAGE_HEADER: "mine",
    }
    call(Backend(asked(app, door.set_up(), headers)), "GET", "/v1/spy")
    assert set(seen) == {"origin", "cookie", "accept"}
    assert seen["cookie"].startswith(f"{SESSION_COOKIE}=")


def test_an_answer_that_is_too_large_is_refused(app: FastAPI, door: FrontDoor) -> None:
    async def large(_: Request) -> Response:
        return Response(b"x" * (ANSWER_BYTES + 1))

    app.router.add_route("/v1/large", large)
    with pytest.raises(BackendError):
        call(Backend(asked(app, door.set_up())), "GET", "/v1/large")


def test_a_refusal_is_the_routes_own_and_a_session_that_changed_goes_on(app: FastAPI, door: FrontDoor) -> None:
    ana = door.set_up()
    door.give_password(ana)
    backend = Backend(asked(app, ana, {"origin": door.site.origin}), page_value=page_value(ana.session))
    with pytest.raises(ProblemError) as refused:
        call(backend, "GET", "/v1/jobs/" + "0" * 32).checked()
    assert refused.value.problem.code == "not-found"
    given = call(backend, "POST", "/v1/session/step-up", {"code": ana.code(door.clock())})
    assert given.status == 200
    assert backend.session != ana.session and len(backend.cookies) == 1
    assert call(backend, "GET", "/v1/session").body["page_value"] == given.body["page_value"]


def test_bytes_are_sent_in_pieces(app: FastAPI, door: FrontDoor) -> None:
    async def size(request: Request) -> Response:
        return Response(str(len(await request.body())), media_type="application/json")

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 1_000

    app.router.add_route("/v1/size", size, methods=["POST"])
    assert call(Backend(asked(app, door.set_up())), "POST", "/v1/size", content=pieces()).body == 3_000


@pytest.mark.parametrize("part", ["a/b", "..", "a?b=c", "a#b", "ä"])
def test_a_part_of_a_path_stays_one_part(part: str) -> None:
    made = place("/v1/datasets/{}/cases", part)
    assert made.startswith("/v1/datasets/") and made.endswith("/cases")
    assert made.count("/") == 4 and "?" not in made and "#" not in made


def test_no_page_opens_the_store_the_vault_or_the_ledger() -> None:
    """The rule in the sources: what a page shows, it asks the routes for."""
    doors = re.compile(r"service_store|casehaven\.(?:vault|ledger|worker)\b|\.store\b|\bconnection\b")
    for file in HERE.glob("*.py"):
        assert doors.findall(file.read_text(encoding="utf-8")) == [], file.name
