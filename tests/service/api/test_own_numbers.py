"""What an organisation is told of its own people: exact tables, how a dataset stands, last days, possible duplicates. Nobody else is told any of it."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import update
from tests.service.api.conftest import Caller, _has_keys, take_in

from casehaven.organisations.roles import Role
from casehaven.signin.models import session
from casehaven.signin.secrets_made import digest

if TYPE_CHECKING:
    from tests.service.api.conftest import House

MARKED = "Vqxeast"
"""Planted in references; it occurs nowhere else."""
PLACE = "/v1/datasets/east/cases"
WHY = "the donor report of the year"
HEAD = "caseReference,personToken,consentOwnStatistics,consentPooledStatistics,yearOfRegistration,gender,ageBroad"
ROWS = (
    # reference, token, own statistics, pooled, year, gender
    ("r1", "t1", "yes", "yes", "2021", "Woman"),
    ("r2", "t2", "yes", "no", "2021", "Woman"),
    ("r3", "t3", "yes", "", "2022", "Man"),
    ("r4", "t4", "no", "yes", "2022", "Man"),
    ("r5", "t5", "", "yes", "2023", "Woman"),
    ("r6", "t6", "yes", "yes", "2023", "Man"),
    ("twice", "t7", "yes", "yes", "2020", "Man"),
    ("twice", "t8", "yes", "yes", "2020", "Man"),
)


@pytest.fixture(scope="session")
def east(house: House) -> Caller:
    """The steward of an organisation of these tests' own, with eight people in a dataset; seven tokens, of which two share a reference."""
    steward = house.running.organisation("east")
    house.running.wait(partial(_has_keys, house.running, "east"), 30)
    fill(steward, "cases")
    return steward


def fill(steward: Caller, dataset: str) -> str:
    """Make a dataset with the eight people in it, and return its place."""
    body = {"name": dataset, "schema": "ctdc-global", "people_cap": 100}
    steward.done("/v1/organisations/east/datasets", body)
    lines = [f"{MARKED}-{row[0]},{MARKED}-{row[1]},{','.join(row[2:])}," for row in ROWS]
    take_in(steward, dataset, ("\n".join([HEAD, *lines]) + "\n").encode())
    return f"/v1/datasets/east/{dataset}"


def counted(table: dict[str, Any]) -> dict[tuple[str, ...], Any]:
    """Return the cells of a table by the labels of their rows."""
    return {tuple(row["labels"]): row["cells"] for row in table["rows"]}


def test_own_tables_count_those_who_consented_exactly_and_say_that_they_are_not_for_release(east: Caller) -> None:
    found = east.done(f"{PLACE}/tables", {"reason": WHY})
    assert (found["format"], found["mark"], found["people"]) == ("casehaven-own-tables/1", "NOT FOR RELEASE", 6)
    assert found["warning"].startswith("NOT FOR RELEASE")
    gender = next(table for table in found["tables"] if "gender" in table["title"].lower())
    cells = counted(gender)
    women = next(cells[labels] for labels in cells if labels[0] == "Woman")
    assert women[0] == 2 and women[1] == {"part": 2, "base": 6}
    later = east.done(f"{PLACE}/tables", {"reason": WHY, "years": [2021]})
    assert (later["people"], later["years"]) == (2, "registered in 2021")


def test_own_tables_come_as_a_workbook_and_as_a_page_each_marked(east: Caller) -> None:
    book = east.done(f"{PLACE}/tables", {"reason": WHY, "kind": "xlsx"})
    assert book["file"].startswith("not-for-release-east-cases-") and book["file"].endswith(".xlsx")
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(book["base64"]))) as inside:
        assert b"NOT FOR RELEASE" in inside.read("xl/sharedStrings.xml")
    made = east.done(f"{PLACE}/tables", {"reason": WHY, "kind": "html"})
    assert made["text"].count("NOT FOR RELEASE") > 2 and "<script" not in made["text"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"reason": ""}, "reason-needed"),
        ({"reason": WHY, "years": [1931]}, "tables-year"),
        ({"reason": WHY, "years": [2004]}, "nobody-counted"),
        ({"reason": WHY, "kind": "csv"}, "body"),
    ],
)
def test_tables_that_cannot_be_made_are_refused_by_name(east: Caller, body: dict[str, Any], code: str) -> None:
    refused = east.post(f"{PLACE}/tables", body)
    assert refused.json()["code"] == code, refused.text


def test_how_a_dataset_stands_is_told_in_exact_numbers_to_its_steward(east: Caller) -> None:
    found = east.get(f"{PLACE}/status").json()["result"]
    assert (found["people"], found["records"], found["due"], found["people_cap"]) == (8, 8, 0, 100)
    assert found["consent"]["own_statistics"] == {"given": 6, "refused": 1, "never_asked": 1}
    assert found["consent"]["care"] == {"given": 0, "refused": 0, "never_asked": 8}
    files = east.get(f"{PLACE}/intakes").json()["result"]["items"]
    assert [(each["records"], each["replaced"], each["version"]) for each in files] == [(8, 0, 1)]


def test_possible_duplicates_are_named_with_what_they_agree_in(east: Caller) -> None:
    found = east.done(f"{PLACE}/people/duplicates", {"reason": WHY})
    assert found["comparable"] is True and found["cut"] is False
    (pair,) = found["pairs"]
    assert {each["reference"] for each in pair["people"]} == {f"{MARKED}-t7", f"{MARKED}-t8"}
    assert pair["same"] == ["case reference"]


def test_a_last_day_is_set_and_who_is_past_it_is_named_and_erased_with_a_receipt(east: Caller) -> None:
    place, today = fill(east, "kept"), datetime.now(UTC).date()
    who = {"reference": f"{MARKED}-t6", "reason": WHY}
    kept = east.done(f"{place}/people/retention", {**who, "until": (today + timedelta(days=9)).isoformat()})
    assert kept == {"found": True, "kept_until": (today + timedelta(days=9)).isoformat()}
    for until in ((today - timedelta(days=1)).isoformat(), "2001-02-30", "soon"):
        refused = east.post(f"{place}/people/retention", {**who, "until": until})
        assert refused.json()["code"] in ("retention", "body"), refused.text
    nobody = {"reference": f"{MARKED}-nobody", "reason": WHY, "until": None}
    assert east.done(f"{place}/people/retention", nobody) == {"found": False}
    assert east.done(f"{place}/retention/due", {"reason": WHY}) == {"people": [], "cut": False}
    assert east.done(f"{place}/retention/erasures", {"reason": WHY, "confirm": "ERASE"}) == {
        "receipts": [],
        "cut": False,
    }
    assert east.post(f"{place}/retention/erasures", {"reason": WHY, "confirm": "yes"}).status_code == 422
    assert east.done(f"{place}/retention", {"reason": WHY, "months": 600}) == {"months": 600}
    standing = east.get(f"{place}/status").json()["result"]
    assert (standing["without_last_day"], standing["next_last_day"]) == (0, kept["kept_until"])


def test_an_erasure_leaves_a_signed_receipt_that_comes_again(east: Caller) -> None:
    place = fill(east, "gone")
    erased = east.done(f"{place}/people/erase", {"reference": f"{MARKED}-t4", "reason": WHY, "confirm": "ERASE"})
    signed = json.loads(erased["signed"])
    assert json.loads(signed["receipt"]) == erased["receipt"] and set(signed) == {"receipt", "signature", "public_key"}
    again = east.done(f"{place}/people/receipts", {"number": erased["receipt"]["number"], "reason": WHY})
    assert again["signed"] == erased["signed"]
    assert east.done(f"{place}/people/receipts", {"number": "7", "reason": WHY}) == {"found": False}
    assert east.post(f"{place}/people/receipts", {"number": "9" * 19, "reason": WHY}).status_code == 422
    assert east.get(f"{place}/status").json()["result"]["erased"] == 1


def test_a_form_that_is_sent_again_under_its_key_is_the_same_job_and_undoes_no_withdrawal(east: Caller) -> None:
    place = f"{fill(east, 'again')}/people"
    said = {"reference": f"{MARKED}-t1", "reason": WHY, "purpose": "pooled_statistics"}
    yes, key = {**said, "given": True, "language": "en"}, uuid4().hex
    first = east.post(f"{place}/consent", yes, key=key)
    assert first.json()["result"]["given"] is True
    assert east.done(f"{place}/consent", {**said, "given": False})["given"] is False
    again = east.post(f"{place}/consent", yes, key=key)  # a page that was loaded anew
    assert again.json()["id"] == first.json()["id"]
    shown = east.done(f"{place}/show", {"reference": said["reference"], "reason": WHY})["person"]
    latest = [each for each in shown["consent"] if each["purpose"] == "pooled_statistics"][-1]
    assert latest["given"] is False
    other = east.post(f"{place}/consent", {**yes, "purpose": "care"}, key=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency-key-reused")
    last = {"reference": said["reference"], "reason": WHY, "until": None}
    kept = [east.post(f"{place}/retention", last, key=f"{key}-kept").json()["id"] for _ in range(2)]
    assert kept[0] == kept[1]
    assert east.post(f"{place}/consent", yes, key="?").json()["code"] == "idempotency-key-needed"


ROUTES = [
    ("POST", "/tables", {"reason": WHY}),
    ("GET", "/status", None),
    ("GET", "/intakes", None),
    ("POST", "/people/duplicates", {"reason": WHY}),
    ("POST", "/people/retention", {"reference": "x", "reason": WHY, "until": None}),
    ("POST", "/retention", {"reason": WHY, "months": 9}),
    ("POST", "/retention/due", {"reason": WHY}),
    ("POST", "/retention/erasures", {"reason": WHY, "confirm": "ERASE"}),
    ("POST", "/people/receipts", {"number": "7", "reason": WHY}),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=lambda value: str(value))
def test_nobody_but_a_steward_of_the_organisation_is_told(
    house: House, east: Caller, method: str, path: str, body: object
) -> None:
    for role, who in house.everybody.items():
        own = who.organisation == "north" and role != "steward"
        refused = who.call(method, f"/v1/datasets/{who.organisation}/cases{path}", body=body, wait=0)
        if own:
            assert refused.json()["code"] == "forbidden", role
        elif role != "steward":
            assert refused.status_code in (403, 404), role
        foreign = who.call(method, f"{PLACE}{path}", body=body, wait=0)
        assert (foreign.status_code, foreign.json()["code"]) == (404, "not-found"), role


@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=lambda value: str(value))
def test_what_opens_records_needs_a_fresh_second_factor(
    house: House, east: Caller, method: str, path: str, body: object
) -> None:
    tired = house.running.caller(east.handle, "east", stepped_up=False)
    with house.running.store.writing() as connection:
        mine = session.c.digest == digest("session", tired.session)
        connection.execute(update(session).where(mine).values(stepped_up_at=1))
    refused = tired.call(method, f"{PLACE}{path}", body=body, wait=0)
    if method == "GET":
        assert refused.status_code == 202
    else:
        assert (refused.status_code, refused.json()["code"]) == (403, "step-up-needed")


def test_exact_numbers_are_sealed_to_the_session_that_asked(house: House, east: Caller) -> None:
    asked = east.post(f"{PLACE}/tables", {"reason": WHY}, wait=0)
    place = asked.headers["Location"]
    colleague = house.running.member("east", "esther", Role.STEWARD)
    assert colleague.get(place).status_code == 404
    other_session = house.running.caller(east.handle, "east")
    found = other_session.get(place, wait=20)
    assert found.json()["result"] is None and "NOT FOR RELEASE" not in found.text
    assert east.get(f"{place}/result").json()["mark"] == "NOT FOR RELEASE"
    assert east.get(f"{place}/result").json()["code"] == "result-gone"


def test_no_reference_or_reason_is_left_anywhere_but_sealed(house: House, east: Caller) -> None:
    reason = f"{MARKED} asked"
    answers = [
        east.post(f"{PLACE}/tables", {"reason": reason}),
        east.post(f"{PLACE}/people/duplicates", {"reason": reason}),
        east.post(f"{PLACE}/people/retention", {"reference": f"{MARKED}-t1", "reason": reason, "until": None}),
        east.post(f"{PLACE}/retention/due", {"reason": reason}),
    ]
    assert [answer.status_code for answer in answers] == [200] * 4
    left = {str(path): path.read_bytes() for path in house.running.folder.rglob("*") if path.is_file()}
    left |= {"log": house.running.log.read_bytes(), "metrics": house.running.metrics().encode()}
    for name, data in left.items():
        assert MARKED.encode() not in data, name
        assert b"NOT FOR RELEASE" not in data, name
