"""A new organisation's first steps, its members and tokens, and its training, before a running service."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from sqlalchemy import update
from tests.service.api.conftest import _has_keys
from tests.web.pages import Reader

from casehaven.core.jobs import NewJob, enqueue
from casehaven.core.projection import published
from casehaven.core.training import TrainingDataError
from casehaven.organisations import members
from casehaven.organisations.roles import Kind, Role
from casehaven.releases.draft import ReleaseDraft
from casehaven.signin.models import session
from casehaven.signin.secrets_made import digest as digest_of
from caseschemas import load_schema

if TYPE_CHECKING:
    from tests.service.api.conftest import Caller, House
    from tests.web.conftest import WindowAs

ReaderOf = Callable[..., Reader]


@pytest.fixture(scope="session")
def newcomer(house: House) -> Caller:
    """The steward of an organisation that has nothing yet."""
    steward = house.running.organisation("quay")
    house.running.wait(partial(_has_keys, house.running, "quay"), 60)
    return steward


def test_the_first_steps_are_read_from_the_service_and_can_be_left_and_resumed(
    newcomer: Caller, reader: ReaderOf
) -> None:
    steward = reader(newcomer)
    assert "Set your organisation up" in steward.get("/home").text
    first = steward.get("/welcome")
    assert first.text.count(">open<") == 4
    wrong = steward.post("/welcome", {"name": "", "schema": "ctdc-global", "people_cap": "many"})
    assert wrong.status_code == 422
    assert 'href="#name"' in wrong.text and 'href="#people_cap"' in wrong.text
    assert 'aria-describedby="people_cap-hint people_cap-fault" aria-invalid="true"' in wrong.text
    made = steward.follow(
        steward.post("/welcome", {"name": "cases", "schema": "ctdc-global", "people_cap": "٥٠٠٠"})
    )  # digits as they are written in Arabic
    assert made.text.count(">done<") == 1
    assert "/datasets/quay/cases" in made.text
    assert newcomer.get("/v1/datasets/quay/cases").json()["people_cap"] == 5000
    again = steward.post("/welcome", {"name": "cases", "schema": "ctdc-global", "people_cap": "7000"})
    assert "There is a dataset of this name" in steward.follow(again).text


def test_a_steward_invites_gives_and_takes_roles_and_ends(house: House, newcomer: Caller, reader: ReaderOf) -> None:
    steward = reader(newcomer)
    shown = steward.post("/members", {"handle": "hana", "roles": ["caseworker"]})
    assert shown.status_code == 200, shown.text
    assert re.search(r'class="once"><code>[0-9A-Z-]{20,}</code>', shown.text)
    assert shown.headers["cache-control"] == "no-store"
    assert "this name is taken" in steward.post("/members", {"handle": "hana", "roles": ["caseworker"]}).text.lower()
    steward.follow(steward.post("/members/hana/roles", {"roles": ["caseworker", "researcher"]}))
    found = {one["handle"]: one for one in newcomer.get("/v1/organisations/quay/members").json()}
    assert found["hana"]["roles"] == ["caseworker", "researcher"]
    steward.post("/members/hana/roles", {})
    found = {one["handle"]: one for one in newcomer.get("/v1/organisations/quay/members").json()}
    assert found["hana"]["roles"] == []
    assert re.search(r'class="once"><code>', steward.post("/members/hana/code", {}).text)
    assert steward.post("/members/hana/end", {"confirm": "somebody"}).status_code == 422
    assert steward.post("/members/hana/end", {"confirm": "hana"}).status_code == 303
    assert "hana" not in steward.get("/members").text
    alone = steward.post("/members/quay-steward/roles", {"roles": ["privacy_officer"]})
    assert alone.status_code == 422
    assert "last active holder" in alone.text


def test_nobody_is_offered_a_role_that_they_could_not_give_nor_can_give_it(
    house: House, newcomer: Caller, reader: ReaderOf
) -> None:
    lead = house.running.member("quay", "lena", Role.STEWARD)
    page = reader(lead).get("/members")
    assert 'value="caseworker"' in page.text and 'value="privacy_officer"' not in page.text
    refused = reader(lead).post("/members", {"handle": "vera", "roles": ["privacy_officer"]})
    assert "do not hold" in refused.text
    assert "vera" not in [one["handle"] for one in newcomer.get("/v1/organisations/quay/members").json()]
    caseworker = house.running.member("quay", "carl", Role.CASEWORKER)
    assert reader(caseworker).get("/members").status_code == 403


def test_what_needs_a_second_factor_asks_for_it_and_keeps_what_was_typed(house: House, reader: ReaderOf) -> None:
    caller = house.running.caller("quay-steward", "quay", stepped_up=False)
    with house.running.store.writing() as connection:  # an hour passes
        mine = session.c.digest == digest_of("session", caller.session)
        assert connection.execute(update(session).where(mine).values(stepped_up_at=1)).rowcount == 1
    steward = reader(caller)
    asked = steward.post("/members", {"handle": "kept-handle", "roles": ["caseworker", "researcher"]})
    assert asked.status_code == 403
    assert "<h1>Confirm that it is you</h1>" in asked.text
    assert asked.text.count('type="hidden" name="roles"') == 2
    assert 'name="handle" value="kept-handle"' in asked.text
    assert 'name="factor"' in asked.text and 'action="/members"' in asked.text
    wrong = steward.post("/members", {"handle": "kept-handle", "roles": ["caseworker"], "factor": "000000"})
    assert wrong.status_code == 403
    assert "not accepted" in wrong.text and 'name="handle" value="kept-handle"' in wrong.text


def test_a_token_is_shown_once_works_and_ends(newcomer: Caller, reader: ReaderOf) -> None:
    steward = reader(newcomer)
    assert steward.post("/tokens", {"name": "notebook", "days": "0"}).status_code == 422
    made = steward.post("/tokens", {"name": "notebook", "days": "30", "operations": ["dataset.list", "job.read"]})
    value = re.search(r"<code>(chv_[\w-]{43})</code>", made.text)
    assert value is not None
    bearer = {"Authorization": f"Bearer {value[1]}"}
    assert newcomer.http.get("/v1/datasets", headers=bearer).status_code == 200
    page = steward.get("/tokens")
    assert value[1] not in page.text and "notebook" in page.text
    ending = re.search(r'action="(/tokens/[0-9a-f]+/end)"', page.text)
    assert ending is not None
    assert steward.post(ending[1], {}).status_code == 303
    assert newcomer.http.get("/v1/datasets", headers=bearer).status_code == 401


def test_an_operator_founds_an_organisation(house: House, reader: ReaderOf) -> None:
    operator = reader(house.operator)
    fields = {"title": "New <b>Shelter", "name": "new-shelter", "kind": "research", "first_member": "first-of-new"}
    made = operator.post("/organisations", fields)
    assert 'class="once"><code>' in made.text
    listed = operator.get("/organisations").text
    assert "New &lt;b&gt;Shelter" in listed and "New <b>" not in listed
    assert operator.post("/organisations", {**fields, "first_member": "other"}).status_code == 422


@pytest.fixture(scope="session")
def trainee(house: House) -> Caller:
    """The steward of an organisation with a dataset, and one of training."""
    steward = house.running.organisation("school")
    house.running.wait(partial(_has_keys, house.running, "school"), 60)
    fields = {"name": "cases", "schema": "ctdc-global", "people_cap": 2_000}
    steward.done("/v1/organisations/school/datasets", fields)
    shown = Reader(caller=steward)
    answer = shown.follow(shown.post("/training", {}))
    assert "school/training</bdi> is ready" in answer.text
    return steward


def test_training_has_a_banner_wherever_it_is_shown_and_can_be_asked_about(trainee: Caller, reader: ReaderOf) -> None:
    steward = reader(trainee)
    for path in ("/training", "/jobs", "/datasets", "/datasets/school/training", "/ask"):
        page = steward.get(path)
        assert page.status_code in (200, 404), path  # a page that is not there yet has nothing to show
        assert ('class="banner"' in page.text) == (page.status_code == 200), path
    for path in ("/members", "/tokens", "/account"):
        assert 'class="banner"' not in steward.get(path).text, path
    question = {"by": ["gender"], "accuracy": {"within_people": 200}}
    answered = trainee.done("/v1/answers", {"datasets": ["school/training"], "question": question})
    assert max(row.get("estimate", 0) for row in answered["answer"]["rows"]) > 300
    practice = steward.get("/training/practice.csv")
    assert practice.text.splitlines()[0].startswith('"caseReference","personToken"') or practice.text.startswith("case")
    assert len(practice.text.splitlines()) > 40


def test_training_takes_in_the_made_up_file_and_no_other(trainee: Caller, reader: ReaderOf) -> None:
    place = "/v1/datasets/school/training/uploads"
    practice = reader(trainee).get("/training/practice.csv").content
    for content, taken in ((practice, True), (practice.replace(b"Woman", b"Man", 1), False)):
        sent = trainee.call("POST", place, content=content, key=uuid4().hex)
        upload = f"{place}/{sent.json()['id']}"
        for path, body in (("proposal", {}), ("commit", {"leave_refused": True})):
            answer = trainee.call("POST", f"{upload}/{path}", body=body, key=uuid4().hex)
            while answer.status_code == 202:
                answer = trainee.get(answer.headers["Location"])
            if not taken:
                assert (answer.status_code, answer.json()["code"]) == (409, "training-data")
            elif path == "proposal":
                assert answer.status_code == 200, answer.text


def test_training_made_again_adds_nobody(trainee: Caller, reader: ReaderOf) -> None:
    before = trainee.get("/v1/datasets/school/training/status").json()["result"]
    steward = reader(trainee)
    steward.follow(steward.post("/training", {}))
    after = trainee.get("/v1/datasets/school/training/status").json()["result"]
    assert (after["people"], after["records"]) == (before["people"], before["records"])
    assert after["people"] >= 1_500  # the practice file may be in it, too


def test_training_is_in_no_release_agreement_or_pooled_question_and_its_name_is_kept(trainee: Caller) -> None:
    place, question = "/v1/organisations/school", {"by": ["gender"], "accuracy": {"within_people": 200}}
    both = {"datasets": ["school/cases", "school/training"], "question": question}
    for path, body in (
        (f"{place}/datasets", {"name": "training", "schema": "ctdc-global", "people_cap": 100}),
        ("/v1/answers", both),
        ("/v1/quotes", both),
        (f"{place}/release-plans", {"datasets": ["training"], "epsilon": 1.0}),
        (f"{place}/release-plans", {"datasets": ["cases", "training"], "epsilon": 1.0}),
        (f"{place}/release-drafts", {"datasets": ["training"], "epsilon": 1.0, "title": "Made up"}),
    ):
        refused = trainee.post(path, body, key=uuid4().hex)
        assert (refused.status_code, refused.json()["code"]) == (409, "training-data"), (path, refused.text)


def test_training_is_signed_for_in_no_agreement(house: House, trainee: Caller) -> None:
    with house.running.store.reading() as connection:
        schema = published(connection, "dataset", "school/training")["schema_sha256"]
    made = trainee.post(
        "/v1/agreements",
        {
            "terms": {
                "title": "Made up",
                "schema_sha256": schema,
                "contributions": [{"dataset": "school/training", "fields": {"gender": "as_is"}}],
                "readers": ["north"],
                "askers": {"organisations": ["north"], "members": []},
                "purposes": ["pooled_statistics", "synthetic_release"],
                "budget_nano_rho": 10**9,
                "people_cap": 5_000,
                "minimum_count": 10,
                "max_tokens_per_person": 1,
                "tokens_reason": None,
                "linkage": None,
                "expires": "2099-12-31",
            }
        },
    )
    assert made.status_code == 201, made.text
    agreement, digest = made.json()["document"]["agreement"], made.json()["digest"]
    signed = trainee.post(f"/v1/agreements/{agreement}/signatures", {"digest": digest}, key=uuid4().hex)
    assert (signed.status_code, signed.json()["code"]) == (409, "training-data"), signed.text
    assert trainee.get(f"/v1/agreements/{agreement}").json()["in_force"] is None


def test_a_draft_of_a_release_of_training_is_refused_whoever_makes_it(tmp_path: Path) -> None:
    """The command line, too: the draft itself refuses."""
    schema = load_schema("ctdc-global")
    for datasets in (("school/training",), ("school/cases", "school/training")):
        with pytest.raises(TrainingDataError):
            ReleaseDraft(
                vault_datasets=datasets, schema=schema, epsilon=1.0, people_cap=10, out=tmp_path, tokens_are="separate"
            )


def test_a_job_of_training_under_another_kind_is_refused_by_the_worker(house: House, trainee: Caller) -> None:
    """What the api would never ask: the worker looks for itself."""
    with house.running.store.writing() as connection:
        member_id = members.member_named(connection, trainee.handle).id
        new = NewJob(
            kind="dataset.create",
            now=int(time.time()),
            organisation="school",
            dataset="school/training",
            member_id=member_id,
            member_organisation="school",
            request={"schema": "htcds-2.0", "people_cap": 10, "actor": trainee.handle},
        )
        enqueue(connection, new)
    ended = trainee.get(f"/v1/jobs/{new.job_id}", wait=20)
    assert ended.json()["code"] == "training-data"


def test_a_dataset_is_granted_by_name_and_the_grant_ends(house: House, trainee: Caller, reader: ReaderOf) -> None:
    steward = reader(trainee)
    ravi = house.running.member("school", "ravi", Role.RESEARCHER)
    assert (
        "There is nobody with this handle" in steward.post("/grants", {"dataset": "training", "handle": "nobody"}).text
    )
    fields = {"dataset": "training", "handle": "ravi", "allowance": "20,5"}
    assert steward.post("/grants", fields).status_code == 422
    for wrong in ("0", "-1", "nan", "1e9", "1000.1"):
        assert steward.post("/grants", {**fields, "allowance": wrong}).status_code == 422, wrong
    assert steward.post("/grants", {**fields, "allowance": "0.1", "unit": "epsilon"}).status_code == 303
    granted = re.search(
        r"<bdi>ravi</bdi>.*?<bdi>ρ ([\d.]+)</bdi><br>.*?<bdi>([\d.]+)</bdi>", steward.get("/grants").text
    )
    assert granted is not None and float(granted[2]) == 0.1 and 0 < float(granted[1]) < 0.1
    assert steward.post("/grants", {**fields, "allowance": "0.005", "unit": "rho"}).status_code == 303
    assert "<bdi>ρ 0.005</bdi>" in steward.get("/grants").text
    assert "Granted to you" in reader(ravi).get("/training").text or "is ready" in reader(ravi).get("/training").text
    ending = re.search(r'action="/grants/end">.*?</form>', steward.get("/grants").text, re.DOTALL)
    assert ending is not None
    hidden = dict(re.findall(r'name="(dataset|handle)" value="([^"]+)"', ending[0]))
    assert steward.post("/grants/end", hidden).status_code == 303
    assert "ravi" not in steward.get("/grants").text
    assert steward.post("/grants/end", {"dataset": "north/cases", "handle": "rosa"}).status_code == 404
    assert reader(ravi).get("/grants").status_code == 403


def test_the_first_steps_by_keyboard_alone(house: House, window_as: WindowAs) -> None:
    steward = house.running.organisation("keys-only")
    house.running.wait(partial(_has_keys, house.running, "keys-only"), 60)
    window = window_as(steward)
    page = window.go("/welcome")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    window.tab_to("#people_cap")
    page.keyboard.press("Control+A")
    page.keyboard.type("many")
    window.tab_to("main button")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert page.evaluate("document.activeElement.id") == "summary"
    page.keyboard.press("Tab")  # the link from the summary to the field
    page.keyboard.press("Enter")
    window.tab_to("#people_cap")
    page.keyboard.press("Control+A")
    page.keyboard.type("5000")
    window.tab_to("main button")
    page.keyboard.press("Enter")
    page.get_by_text("Send a first file").wait_for()
    page.get_by_text("Do this now").first.wait_for()
    assert window.barriers() == []


def test_a_research_organisation_has_steps_of_its_own(house: House, reader: ReaderOf) -> None:
    steward = house.running.organisation("institute", Kind.RESEARCH)
    page = reader(steward).get("/welcome")
    assert "Invite a colleague" in page.text and "Make a dataset" not in page.text
