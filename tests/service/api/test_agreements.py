"""Agreements over HTTP, through the real api and worker: proposed, signed by each contributor, asked under, seen, revoked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import insert
from tests.front_door import SoftPasskey, b64
from webauthn.helpers import encode_cbor

from casehaven.core.projection import published
from casehaven.organisations import members
from casehaven.organisations.roles import Kind, Role
from casehaven.signin.models import passkey

if TYPE_CHECKING:
    from tests.service.api.conftest import Caller, House

QUESTION = {"by": ["gender"], "accuracy": {"within_people": 71}}
DATASETS = ("north/cases", "south/cases")


@pytest.fixture(scope="session")
def asker(house: House) -> Caller:
    """A researcher of a laboratory that has no cases."""
    house.running.organisation("desk", Kind.RESEARCH)
    return house.running.member("desk", "dora", Role.RESEARCHER)


@pytest.fixture(scope="session")
def terms(house: House) -> dict[str, Any]:
    """What north and south agree on."""
    with house.running.store.reading() as connection:
        schema = published(connection, "dataset", "north/cases")["schema_sha256"]
    return {
        "title": "Who comes to both shelters",
        "schema_sha256": schema,
        "contributions": [{"dataset": name, "fields": {"gender": "as_is"}} for name in DATASETS],
        "readers": ["desk"],
        "askers": {"organisations": ["desk"], "members": []},
        "purposes": ["pooled_statistics"],
        "budget_nano_rho": 10**9,
        "people_cap": 4_000,
        "minimum_count": 10,
        "max_tokens_per_person": 2,
        "tokens_reason": None,
        "linkage": None,
        "expires": "2099-12-31",
    }


def test_two_shelters_agree_a_researcher_asks_both_see_the_use_and_one_revokes(
    house: House, asker: Caller, terms: dict[str, Any]
) -> None:
    stewards = {name: house.running.caller(f"{name}-steward", name) for name in ("north", "south")}
    made = stewards["north"].post("/v1/agreements", {"terms": terms})
    assert made.status_code == 201, made.text
    place, digest = f"/v1/agreements/{made.json()['document']['agreement']}", made.json()["digest"]
    agreement = made.json()["document"]["agreement"]
    asking = {"agreement": agreement, "question": QUESTION}
    for steward in stewards.values():
        refused = asker.post("/v1/answers", asking, key=uuid4().hex)
        assert refused.json()["code"] == "agreement-needed"
        shown = steward.get(place).json()
        assert shown["documents"][-1]["digest"] == digest == steward.get(f"{place}/challenge").json()["digest"]
        steward.done(f"{place}/signatures", {"digest": digest})
    assert stewards["south"].get(place).json()["in_force"] == digest
    (terms_shown,) = asker.get("/v1/agreements/open").json()["items"]
    answered = asker.post("/v1/answers", asking, key=uuid4().hex)
    assert answered.status_code == 200, answered.text
    assert answered.json()["result"]["charged_nano_rho"] > 0
    for text in (answered.text, json.dumps(terms_shown), asker.get("/v1/jobs").text):
        assert "north" not in text and "south" not in text
    for name, steward in stewards.items():
        uses = steward.get(f"/v1/organisations/{name}/agreement-uses").json()["items"]
        (use,) = [one for one in uses if one["agreement"] == agreement]
        assert (use["dataset"], use["nano_rho"]) == (
            f"{name}/cases",
            answered.json()["result"]["charged_nano_rho"],
        )
    assert stewards["south"].post(f"{place}/revocation").status_code == 204
    later = {"agreement": agreement, "question": {**QUESTION, "accuracy": {"within_people": 72}}}
    assert asker.post("/v1/answers", later, key=uuid4().hex).json()["code"] == "agreement-needed"
    assert asker.get("/v1/agreements/open").json()["items"] == []
    listed = {one["agreement"]: one for one in stewards["north"].get("/v1/agreements").json()["items"]}
    assert listed[agreement]["documents"][0]["state"] == "revoked"


def test_an_agreement_of_others_is_answered_as_one_that_is_not_there(
    house: House, asker: Caller, terms: dict[str, Any]
) -> None:
    north = house.running.caller("north-steward", "north")
    alone = {**terms, "contributions": [{"dataset": "north/cases", "fields": {}}], "max_tokens_per_person": 1}
    made = north.post("/v1/agreements", {"terms": alone}).json()
    place, nowhere = f"/v1/agreements/{made['document']['agreement']}", f"/v1/agreements/{'0' * 32}"
    south = house.running.caller("south-steward", "south")
    digest = made["digest"]
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/challenge", None),
        ("POST", "/documents", {"terms": terms}),
        ("POST", "/signatures", {"digest": digest}),
        ("POST", "/decline", {"digest": digest}),
        ("POST", "/revocation", None),
    ):
        theirs = south.call(method, place + path, body=body, wait=0)
        nobodys = south.call(method, nowhere + path, body=body, wait=0)
        assert (theirs.status_code, theirs.content) == (404, nobodys.content), path
    assert asker.get(place).status_code == 403


def test_signing_and_revoking_need_a_fresh_second_factor_and_a_role(house: House, terms: dict[str, Any]) -> None:
    stale = house.running.caller("north-steward", "north", stepped_up=True)
    made = stale.post("/v1/agreements", {"terms": terms}).json()
    place = f"/v1/agreements/{made['document']['agreement']}"
    signing = {"digest": made["digest"]}
    for path, body in (("/signatures", signing), ("/decline", signing), ("/revocation", None)):
        assert house.caseworker.post(place + path, body).status_code == 403
        assert house.officer.post(place + path, body).status_code == 403


def test_a_contributor_declines_a_proposal_and_its_proposer_sees_it(house: House, terms: dict[str, Any]) -> None:
    north, south = (house.running.caller(f"{name}-steward", name) for name in ("north", "south"))
    made = north.post("/v1/agreements", {"terms": terms}).json()
    place, digest = f"/v1/agreements/{made['document']['agreement']}", made["digest"]
    assert south.post(f"{place}/decline", {"digest": "0" * 64}).json()["code"] == "agreement-changed"
    assert south.post(f"{place}/decline", {"digest": digest}).status_code == 204
    (document,) = north.get(place).json()["documents"]
    assert (document["state"], document["declines"][0]["organisation"]) == ("declined", "south")
    refused = north.post(f"{place}/signatures", {"digest": digest})
    assert (refused.status_code, refused.json()["code"]) == (409, "agreement-changed")


def test_terms_that_do_not_fit_are_refused_by_their_place(house: House, terms: dict[str, Any]) -> None:
    north = house.running.caller("north-steward", "north")
    for wrong in (
        {**terms, "people_cap": 3_999},
        {**terms, "contributions": [{"dataset": "nowhere/cases", "fields": {}}]},
        {**terms, "contributions": [{"dataset": "south/cases", "fields": {}}], "max_tokens_per_person": 1},
        {**terms, "more": 1},
        {},
    ):
        refused = north.post("/v1/agreements", {"terms": wrong})
        assert (refused.status_code, refused.json()["code"]) == (422, "agreement-document"), refused.text


def test_a_steward_with_a_passkey_signs_with_it_over_the_digest_and_with_nothing_less(
    house: House, terms: dict[str, Any]
) -> None:
    device = SoftPasskey(origin=house.running.origin)
    steward = house.running.member("north", "nadia", Role.STEWARD)
    numbers = device.key.public_key().public_numbers()
    public = encode_cbor({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
    with house.running.store.writing() as connection:
        member = members.member_named(connection, "nadia").id
        row = {"id": "f" * 32, "member": member, "sign_count": 0, "name": "soft", "made_at": 1}
        connection.execute(insert(passkey).values(credential=device.credential, public_key=public, **row))
    made = steward.post("/v1/agreements", {"terms": terms}).json()
    place, digest = f"/v1/agreements/{made['document']['agreement']}", made["digest"]
    assert steward.post(f"{place}/signatures", {"digest": digest}).json()["code"] == "agreement-signature"
    options = steward.get(f"{place}/challenge").json()
    signed = device.sign(options)
    signed.pop("clientExtensionResults")
    other = device.sign({"challenge": b64(bytes(32))})
    other.pop("clientExtensionResults")
    wrong = steward.post(f"{place}/signatures", {"digest": digest, "assertion": other})
    assert wrong.json()["code"] == "agreement-signature"
    steward.done(f"{place}/signatures", {"digest": digest, "assertion": signed})
    (signature,) = steward.get(place).json()["documents"][0]["signatures"]
    assert (signature["handle"], signature["method"]) == ("nadia", "passkey")
