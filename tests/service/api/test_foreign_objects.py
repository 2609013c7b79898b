"""Every route with every other organisation's objects answers 404, in the very bytes that it answers for what is not there (threat 15). Made from the table of routes."""

from __future__ import annotations

import importlib
import re
import secrets
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import delete
from tests.publishing import draft_document

from casehaven.api import ROUTERS
from casehaven.core.release_rows import add_release
from casehaven.core.routing import OPEN, OPERATION, GuardedRouter
from casehaven.drafts.service import add_draft
from casehaven.organisations.access import Operation
from casehaven.organisations.roles import Kind, Role, rights_of
from casehaven.registry.identifiers import concept_name, record_name
from casehaven.registry.models import registry_record
from casehaven.registry.rows import add_record

if TYPE_CHECKING:
    from tests.service.api.conftest import Caller, House

ROUTES = sorted(
    (next(iter(route.methods)), route.path, str(route.openapi_extra[OPERATION]))
    for module in ROUTERS
    for route in importlib.import_module(module).router.routes
    if route.openapi_extra[OPERATION] != OPEN
)
"""Method, path and operation of every route that needs somebody to be signed in."""

WITH_ORGANISATION = [found for found in ROUTES if "{organisation}" in found[1]]
BODIES: dict[str, Any] = {
    "/v1/release-drafts/{draft}/approvals": {"digest": "0" * 64, "part": "steward"},
    "/v1/registry/{record}/withdrawal": {"reason": "a column was mapped wrongly"},
    "/v1/releases/{release}/decision": {"decision": "publish"},
    "/v1/datasets/{organisation}/{dataset}/uploads/{upload}/proposal": {},
    "/v1/datasets/{organisation}/{dataset}/uploads/{upload}/commit": {},
}
"""Where the object is looked for after the body was read."""

OPERATES_EVERYWHERE = {
    (right.operation, role)
    for role, kind in ((Role.OPERATOR, Kind.DEPLOYMENT), (Role.POLICYMAKER, Kind.POLICY))
    for right in rights_of(kind, frozenset({role}))
    if right.reach.value == "deployment"
}


def filled(path: str, **values: str) -> str:
    """Return a path with its parameters."""
    rest = {"handle": "south-steward", "role": "caseworker", "dataset": "cases", "name": "manifest.json", **values}
    rest.setdefault("record", "CHV-0000-0000-0000.v1")
    return re.sub(r"\{(\w+)\}", lambda found: rest.get(found[1], secrets.token_hex(16)), path)


def send(who: Caller, method: str, path: str, template: str) -> tuple[int, bytes]:
    """Send a request that is well formed, and return what was answered."""
    body = BODIES.get(template) if method in ("POST", "PUT", "PATCH") else None
    answer = who.call(method, path, body=body, key=uuid4().hex, wait=0)
    return answer.status_code, answer.content


def test_the_table_holds_every_kind_of_object() -> None:
    assert len(ROUTES) > 45
    assert {"{job}", "{upload}", "{release}", "{draft}", "{record}", "{organisation}", "{dataset}"} <= {
        name for _, path, _ in ROUTES for name in re.findall(r"\{\w+\}", path)
    }


@pytest.mark.parametrize(("method", "path", "operation"), WITH_ORGANISATION, ids=lambda value: str(value))
def test_an_object_of_another_organisation_is_answered_as_one_that_is_not_there(
    house: House, method: str, path: str, operation: str
) -> None:
    for role, who in house.everybody.items():
        if (Operation(operation), Role(role)) in OPERATES_EVERYWHERE:
            continue
        theirs = send(who, method, filled(path, organisation="south"), path)
        nobodys = send(who, method, filled(path, organisation="nowhere"), path)
        assert theirs == nobodys, role
        assert theirs[0] == 404, role


@pytest.fixture(scope="module")
def of_south(house: House) -> Iterator[dict[str, str]]:
    """Make an upload, a job and a drawn release of south's, and return their ids."""
    place = "/v1/datasets/south/cases/uploads"
    sent = house.south.call("POST", place, content=b"a,b\n1,2\n", key=uuid4().hex)
    question = {"by": ["gender"], "accuracy": {"within_people": 60}}
    asked = house.south.post("/v1/quotes", {"datasets": ["south/cases"], "question": question})
    release_id = secrets.token_hex(16)
    with house.running.store.writing() as connection:
        document = {"organisation": "south", "title": "South", "files": ["manifest.json"]}
        add_release(connection, release_id, "south", document, now=int(time.time()))
        draft = secrets.token_hex(16)
        add_draft(connection, draft_document("south/cases", organisation="south", draft=draft), 1)
        name = record_name(concept_name(secrets.token_hex(32)), 1)
        add_record(
            connection,
            name=name,
            concept=name.partition(".")[0],
            version=1,
            release_id=secrets.token_hex(16),
            organisation="south",
            document={"id": name},
            now=1,
        )
    yield {
        "upload": sent.json()["id"],
        "job": asked.json()["id"],
        "release": release_id,
        "draft": draft,
        "record": name,
    }
    with house.running.store.writing() as connection:  # everybody reads the registry
        connection.execute(delete(registry_record).where(registry_record.c.record == name))


BY_ID = [found for found in ROUTES if re.search(r"\{(job|upload|release|draft|record)\}", found[1])]


@pytest.mark.parametrize(("method", "path", "operation"), BY_ID, ids=lambda value: str(value))
def test_an_id_of_anothers_object_is_answered_as_an_id_that_nobody_has(
    house: House, of_south: dict[str, str], method: str, path: str, operation: str
) -> None:
    for role, who in house.everybody.items():
        theirs = send(who, method, filled(path, organisation=who.organisation, **of_south), path)
        nobodys = send(who, method, filled(path, organisation=who.organisation), path)
        assert theirs == nobodys, role
        assert theirs[0] in (403, 404), role


QUESTION = {"by": ["gender"], "accuracy": {"within_people": 60}}
NAMED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    *(
        (
            path,
            {"datasets": [f"south/{name}"], "question": QUESTION},
            {"datasets": ["nowhere/cases"], "question": QUESTION},
        )
        for path in ("/v1/quotes", "/v1/answers")
        for name in ("cases", "other")
    ),
    *(
        (
            path,
            {"datasets": ["north/cases", "south/cases"], "question": QUESTION},
            {"datasets": ["north/cases", "nowhere/cases"], "question": QUESTION},
        )
        for path in ("/v1/quotes", "/v1/answers")
    ),
    *(
        (
            path,
            {"agreement": "5e" * 16, "question": QUESTION},
            {"agreement": "0" * 32, "question": QUESTION},
        )
        for path in ("/v1/quotes", "/v1/answers")
    ),
]
"""Route, a body that names an object of others, and the same with one that nobody has."""


@pytest.mark.parametrize(("path", "theirs", "nobodys"), NAMED, ids=lambda value: str(value)[:60])
def test_an_object_that_a_body_names_is_answered_as_one_that_nobody_has(
    house: House, path: str, theirs: dict[str, Any], nobodys: dict[str, Any]
) -> None:
    for role, who in house.everybody.items():
        found = [who.post(path, body, key=uuid4().hex, wait=20) for body in (theirs, nobodys)]
        told = [(one.status_code, {**one.json(), "job": None}) for one in found]
        assert told[0] == told[1], role
        assert told[0][0] in (403, 404), (role, told)


def test_a_colleague_does_not_see_a_members_jobs(house: House) -> None:
    job = house.north.post("/v1/audit/verification", {}).json()["id"]
    assert house.north.get(f"/v1/jobs/{job}").status_code == 200
    assert house.caseworker.get(f"/v1/jobs/{job}").status_code == 404
    assert house.caseworker.call("DELETE", f"/v1/jobs/{job}").status_code == 404


def test_a_route_that_names_no_operation_keeps_the_app_from_starting() -> None:
    from fastapi import APIRouter

    from casehaven.core.routing import check_declared

    router = GuardedRouter()
    with pytest.raises(TypeError):
        router.get("/v1/planted")
    plain = APIRouter()
    plain.get("/v1/planted")(lambda: None)
    with pytest.raises(TypeError, match="/v1/planted"):
        check_declared(plain)
