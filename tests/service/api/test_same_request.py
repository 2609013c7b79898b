"""An Idempotency-Key stands for one whole request: whatever of it changes, the key is refused, and no other job's answer is given (privacy rule 16)."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, func, select
from tests.publishing import draft_document
from tests.raw_request import Answered, send_raw
from tests.service.api.test_upload_room import MIB, Sender

from casehaven.core.projection import publish
from casehaven.core.service_tables import job
from casehaven.drafts.service import add_draft
from casehaven.routes.drafts import DraftingRelease
from casehaven.routes.questions import Asking
from casehaven.routes.releases import Running
from casehaven.routes.uploads import Committing

AGREEMENT = "0" * 32
ASKED: dict[str, Any] = {"datasets": ["north/cases"], "question": {"by": ["gender"]}}
QUESTIONS: list[tuple[str, dict[str, Any]]] = [
    ("datasets", {"datasets": ["north/other"]}),
    ("datasets", {"datasets": ["north/cases", "north/other"]}),
    ("question", {"question": {"by": ["ageBroad"]}}),
    ("question", {"question": {"by": ["gender"], "more": None}}),
    ("person_tokens", {"person_tokens": "shared"}),
    ("as_of", {"as_of": "2026-01-02"}),
    ("agreement", {"datasets": [], "agreement": AGREEMENT}),
]
DRAFTS = "/v1/organisations/north/release-drafts"
DRAFT: dict[str, Any] = {"datasets": ["cases"], "epsilon": 1.0}
RELEASES: list[tuple[str, dict[str, Any]]] = [
    ("datasets", {"datasets": ["other"]}),
    ("datasets", {"datasets": ["cases", "other"]}),
    ("epsilon", {"epsilon": 1.5}),
    ("delta", {"delta": 1e-9}),
    ("title", {"title": "another"}),
    ("registered", {"registered": ["2021"]}),
    ("agreement", {"datasets": [], "agreement": AGREEMENT}),
    ("credit", {"credit": "Shelter North"}),
    ("changelog", {"changelog": "one more year"}),
    ("succeeds", {"succeeds": "CHV-0000-0000-0000.v1"}),
    ("draft", {"draft": "1" * 32}),
]
COMMITS: list[tuple[str, dict[str, Any]]] = [
    ("password", {"password": "x"}),
    ("encoding", {"encoding": "utf-8"}),
    ("separator", {"separator": ";"}),
    ("sheet", {"sheet": "2"}),
    ("mapping", {"mapping": {"x": 1}}),
    ("leave_refused", {"leave_refused": True}),
    ("keep", {"keep": ["age"]}),
    ("again", {"again": True}),
    ("same_people", {"same_people": True}),
    ("older_file", {"older_file": True}),
]


@pytest.fixture(scope="module")
def sender(tmp_path_factory: pytest.TempPathFactory) -> Sender:
    """An app, two organisations, and a second dataset. No worker: what is asked stays in the queue."""
    made = Sender(tmp_path_factory.mktemp("same"))
    with made.door.store.writing() as connection:
        publish(
            connection,
            "dataset",
            "north/other",
            {"organisation": "north", "name": "other"},
            organisation="north",
            now=1,
        )
    return made


def post(sender: Sender, path: str, body: Any, key: str) -> Answered:
    """Ask as north's steward."""
    content, session = json.dumps(body).encode(), sender.stepped_up("north")
    sender.service.limits._buckets.clear()
    headers = {"content_type": "application/json", "idempotency_key": key}
    return send_raw(sender.app, "POST", path, [content], session=session, **headers)


def queued(sender: Sender) -> int:
    """Return how many jobs there are."""
    with sender.door.store.reading() as connection:
        return int(connection.scalar(select(func.count()).select_from(job)) or 0)


def check(sender: Sender, path: str, body: dict[str, Any], changed: dict[str, Any]) -> None:
    """Send a request, the same again, and a changed one under its key."""
    with sender.door.store.writing() as connection:
        connection.execute(delete(job))
    key = uuid4().hex
    first = post(sender, path, body, key)
    assert first.status == 202, first.body
    again = post(sender, path, dict(reversed(body.items())), key)  # the order of fields is nothing of a request
    assert (again.status, json.loads(again.body)["id"]) == (202, json.loads(first.body)["id"])
    other = post(sender, path, {**body, **changed}, key)
    assert (other.status, other.code) == (409, "idempotency-key-reused"), other.body
    assert queued(sender) == 1
    alone = post(sender, path, {**body, **changed}, uuid4().hex)
    assert alone.status == 202, alone.body  # it was refused for its key, and for nothing else


def test_every_field_of_every_body_with_a_key_is_changed_here() -> None:
    for model, changes in ((Asking, QUESTIONS), (DraftingRelease, RELEASES), (Committing, COMMITS)):
        assert {name for name, _ in changes} == set(model.model_fields), model.__name__


@pytest.mark.parametrize(("field", "changed"), QUESTIONS, ids=str)
def test_a_key_of_a_question_is_of_no_other(sender: Sender, field: str, changed: dict[str, Any]) -> None:
    assert field in changed
    check(sender, "/v1/answers", ASKED, changed)


@pytest.mark.parametrize(("field", "changed"), RELEASES, ids=str)
def test_a_key_of_a_draft_is_of_no_other(sender: Sender, field: str, changed: dict[str, Any]) -> None:
    assert field in changed
    check(sender, DRAFTS, DRAFT, changed)


@pytest.mark.parametrize("field", list(Running.model_fields))
def test_a_key_of_a_release_is_of_no_other(sender: Sender, field: str) -> None:
    with sender.door.store.writing() as connection:
        for digit in "12":
            add_draft(connection, draft_document("north/cases", draft=digit * 32), 1)
    asked = {"draft": "1" * 32, "digest": "0" * 64}
    check(sender, "/v1/organisations/north/releases", asked, {field: "2" * len(asked[field])})


@pytest.mark.parametrize(("field", "changed"), COMMITS, ids=str)
def test_a_key_of_a_commit_is_of_no_other(sender: Sender, field: str, changed: dict[str, Any]) -> None:
    assert field in changed
    place = _upload(sender, "north")
    check(sender, f"{place}/commit", {}, changed)


def test_a_key_is_of_one_address_too(sender: Sender) -> None:
    key, here, there = uuid4().hex, _upload(sender, "north"), _upload(sender, "north")
    assert post(sender, f"{here}/commit", {}, key).status == 202
    for path, body in ((f"{there}/commit", {}), ("/v1/answers", ASKED), (DRAFTS, DRAFT)):
        other = post(sender, path, body, key)
        assert (other.status, other.code) == (409, "idempotency-key-reused"), path


def _upload(sender: Sender, organisation: str) -> str:
    sender.service.limits._buckets.clear()
    sent = sender.send(organisation, MIB // 16)
    assert sent.status == 201, sent.body
    return f"/v1/datasets/{organisation}/cases/uploads/{json.loads(sent.body)['id']}"
