"""A new dataset has a shipped schema, named by its id. Nothing that a request names is opened as a file, by the api or by the worker that holds the keys."""

from __future__ import annotations

import time
from importlib.resources import files
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from casehaven.core import jobs
from casehaven.core.jobs import NewJob
from casehaven.organisations.members import member_named
from caseschemas import UnknownSchemaError, shipped_schema

if TYPE_CHECKING:
    from tests.service.api.conftest import House

SHIPPED_FILE = str(files("caseschemas") / "shipped" / "ctdc-global.json")
HOSTILE = [
    "/dev/stdin",
    "/proc/self/environ",
    "/proc/self/fd/0",
    "/etc/passwd",
    ".",
    "..",
    "../shipped/ctdc-global",
    "ctdc-global.json",
    "./ctdc-global",
    "ctdc-global\0",
    "CTDC-GLOBAL",
    "ctdc-global ",
    "file:///etc/passwd",
    "nothing",
]


@pytest.mark.parametrize("name", [*HOSTILE, SHIPPED_FILE])
def test_only_an_id_is_a_shipped_schema(name: str) -> None:
    with pytest.raises(UnknownSchemaError, match="no shipped schema has this id"):
        shipped_schema(name)


@pytest.mark.parametrize("name", HOSTILE)
def test_the_route_refuses_every_other_name_alike_and_makes_no_job(house: House, name: str) -> None:
    refused = house.north.post(
        "/v1/organisations/north/datasets", {"name": "sly", "schema": name, "people_cap": 50}, wait=0
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown-schema"), refused.text
    nothing = house.north.post(
        "/v1/organisations/north/datasets", {"name": "sly", "schema": "nothing", "people_cap": 50}, wait=0
    )
    assert refused.content == nothing.content  # nobody learns which files are there


@pytest.mark.parametrize("name", ["/dev/stdin", "/etc/passwd", SHIPPED_FILE])
def test_the_worker_opens_no_path_even_where_a_job_names_one(house: House, name: str) -> None:
    store, now = house.running.store, int(time.time())
    asked = {"schema": name, "people_cap": 50, "actor": house.north.handle}
    dataset = f"north/sly-{uuid4().hex[:8]}"
    with store.reading() as connection:
        member_id = member_named(connection, house.north.handle).id
    new = NewJob(
        kind="dataset.create",
        now=now,
        organisation="north",
        dataset=dataset,
        request=asked,
        member_id=member_id,
        member_organisation="north",
    )
    with store.writing() as connection:
        jobs.enqueue(connection, new)

    def ended() -> bool:
        with store.reading() as connection:
            return jobs.view(connection, new.job_id, member_id=member_id, now=int(time.time())).ended

    house.running.wait(ended, 60)
    with store.reading() as connection:
        found = jobs.view(connection, new.job_id, member_id=member_id, now=int(time.time()))
    assert found.problem is not None and found.problem["code"] == "unknown-schema"
    quote = {"datasets": ["north/cases"], "question": {"by": ["gender"], "accuracy": {"within_people": 60}}}
    assert "nano_rho" in house.researcher.done("/v1/quotes", quote)  # the short lane goes on
