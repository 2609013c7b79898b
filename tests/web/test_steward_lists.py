"""Lists of people for stewards, without a browser and without a script: possible duplicates, whose last day is past, a last day for everybody, receipts again, and files that were taken in."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from zipfile import ZipFile

import pytest
from fastapi import FastAPI, Request
from tests.service.api.conftest import Caller, take_in
from tests.web.harbour import FreshReader, Harbour
from tests.web.pages import Reader
from tests.web.test_every_page import BYTES, weight

from casehaven.organisations.roles import Role
from casehaven.people.matching import _FIELDS
from casehaven.web.backend import Backend
from casehaven.web.desk import Desk
from casehaven.web.duplicates_page import SAME
from casehaven.web.render import rendered
from casehaven.web.retention_pages import ERASED_AT_ONCE, archive
from casehaven.web.words import LANGUAGES, Words

HEAD = "caseReference,personToken,consentOwnStatistics,consentPooledStatistics,yearOfRegistration,gender,citizenship\n"
WHY = "yearly clean-up of records"


@pytest.fixture(scope="session")
def dunja(harbour: Harbour) -> Caller:
    """A steward of these tests' own: lists are counted by member."""
    return harbour.running.member("harbour", "dunja", Role.STEWARD)


def fresh(caller: Caller) -> FreshReader:
    """The reader of a caller whose second factor is fresh."""
    caller.keep_fresh()
    return FreshReader(caller=caller)


def dataset(caller: Caller, name: str, people: dict[str, str]) -> str:
    """Make a dataset with somebody for each token, under a case reference, and return its page."""
    body = {"name": name, "schema": "ctdc-global", "people_cap": 500}
    caller.done("/v1/organisations/harbour/datasets", body)
    rows = "".join(f"{reference},{token},yes,yes,2021,Woman,UKR\n" for token, reference in people.items())
    take_in(caller, name, (HEAD + rows).encode())
    return f"/datasets/harbour/{name}"


def time_passes(harbour: Harbour, name: str, people: int) -> None:
    """Let the last day of so many people of a dataset be past, as years do."""
    with sqlite3.connect(harbour.running.folder / "vault" / "vault.sqlite", timeout=60) as connection:
        found = connection.execute(
            "UPDATE person SET retain_until = '2020-01-31' WHERE person_id IN (SELECT person_id FROM person WHERE dataset_id ="
            " (SELECT dataset_id FROM dataset WHERE organisation = 'harbour' AND name = ?) ORDER BY person_id LIMIT ?)",
            (name, people),
        )
        assert found.rowcount == people
    connection.close()


def inside(text: str, name: str) -> bytes:
    """What the link of a file to download holds."""
    found = re.search(rf'download="{name}" href="data:[^"]*;base64,([^"]*)"', text)
    assert found is not None, name
    return base64.b64decode(found[1])


# --- possible duplicates ---


def test_possible_duplicates_are_named_with_what_they_agree_in_and_lead_to_each_person(
    harbour: Harbour, dunja: Caller
) -> None:
    place = dataset(dunja, "twins", {"T-21": "D-1", "T-22": "D-1", "T-23": "D-3"})
    steward, page = fresh(dunja), f"{place}/duplicates"
    assert f'href="{page}"' in steward.get(place).text
    assert "It merges nothing" in steward.get(page).text
    none = steward.post(page, {"reason": "", "most": "20"})
    assert none.status_code == 422 and 'id="summary"' in none.text
    short = steward.post(page, {"reason": "x", "most": "20"})
    assert short.status_code == 422 and "4 to 1000 characters" in short.text and 'value="x"' in short.text
    shown = steward.post(page, {"reason": WHY, "most": "20"}, key="d" * 32)
    assert shown.status_code == 200, shown.text
    assert "T-21" in shown.text and "T-22" in shown.text and "T-23" not in shown.text
    assert "same case reference" in shown.text
    assert not re.search(r'(href|action)="[^"]*(T-2|clean)', shown.text), "no address names anybody, nor the reason"
    again = steward.post(page, {"reason": WHY, "most": "20"}, key="d" * 32)
    assert "was shown already" in again.text and "T-21" not in again.text
    button = re.search(r'<button form="([^"]*)" name="reference" value="T-21"', shown.text)
    assert button is not None
    form = next(one for one in re.findall(r"<form.*?</form>", shown.text, re.DOTALL) if f'id="{button[1]}"' in one)
    assert 'action="/people" target="_blank"' in form
    fields = dict(re.findall(r'name="(dataset|do|reason)" value="([^"]*)"', form))
    assert fields == {"dataset": "twins", "do": "show", "reason": WHY}
    person = steward.post("/people", {**fields, "reference": "T-21"})
    assert "Ukraine" in person.text and "Erase this person" in person.text
    several = steward.post("/people", {**fields, "do": "find", "reference": "D-1"})
    assert several.status_code == 422 and "Several people of the dataset have this case reference" in several.text
    assert 'value="D-1"' in several.text, "what was typed stays"


def test_where_there_are_no_possible_duplicates_the_page_says_so(harbour: Harbour) -> None:
    found = FreshReader(caller=harbour.neighbour).post(
        "/datasets/island/cases/duplicates", {"reason": WHY, "most": "50"}
    )
    assert found.status_code == 200 and "No possible duplicates" in found.text


def test_lists_need_a_fresh_second_factor_and_keep_what_was_typed(harbour: Harbour) -> None:
    stale = Reader(caller=harbour.long_after_signing_in())
    for path, fields in (
        ("duplicates", {"reason": WHY, "most": "20"}),
        ("retention", {"reason": WHY}),
        ("retention/erasure", {"reason": WHY, "confirm": "ERASE"}),
        ("retention/everybody", {"reason": WHY, "months": "24", "sure": "yes"}),
        ("retention/receipts", {"reason": WHY, "number": "7"}),
    ):
        asked = stale.post(f"/datasets/harbour/cases/{path}", fields)
        assert asked.status_code == 403, path
        assert 'name="factor"' in asked.text and f'action="/datasets/harbour/cases/{path}"' in asked.text
        for name, value in fields.items():
            assert f'type="hidden" name="{name}" value="{value}"' in asked.text, (path, name)


@pytest.mark.parametrize("path", ["duplicates", "retention", "retention/everybody", "retention/receipts", "intakes"])
def test_nobody_but_stewards_of_the_organisation_reads_or_asks(harbour: Harbour, path: str) -> None:
    fields = {"reason": WHY, "most": "20", "months": "24", "sure": "yes", "number": "7", "confirm": "ERASE"}
    page = f"/datasets/harbour/cases/{path}"
    for caller, refused in ((harbour.caseworker, 403), (harbour.neighbour, 404)):
        reader = FreshReader(caller=caller)
        assert reader.get(page).status_code == refused
        assert reader.post(page, fields).status_code == refused


def test_what_is_typed_is_shown_as_text_in_every_list(harbour: Harbour) -> None:
    evil = '"><script>alert(1)</script>'
    for path in ("duplicates", "retention", "retention/erasure", "retention/everybody", "retention/receipts"):
        fields = {"reason": evil, "most": evil, "months": evil, "number": evil, "confirm": evil, "seen": evil}
        if path == "retention":
            fields["reason"] = ""
        said = harbour.reader.post(f"/datasets/harbour/cases/{path}", fields)
        assert said.status_code == 422, path
        assert "<script>alert" not in said.text


# --- last days ---


def test_who_is_due_is_named_and_all_of_them_are_erased_after_a_page_that_says_what_that_means(
    harbour: Harbour, dunja: Caller
) -> None:
    place = dataset(dunja, "aged", {"T-31": "A-1", "T-32": "A-2", "T-33": "A-3"})
    page, steward = f"{place}/retention", fresh(dunja)
    nobody = steward.post(page, {"reason": WHY})
    assert "Nobody&#39;s last day is past" in nobody.text and f"{page}/everybody" in nobody.text
    time_passes(harbour, "aged", 2)
    shown = steward.post(page, {"reason": WHY})
    named = set(re.findall(r'<th scope="row"><bdi>(T-3\d)</bdi></th>', shown.text))
    assert len(named) == 2 and "2020-01-31" in shown.text
    assert not re.search(r'(href|action)="[^"]*T-3', shown.text)
    assert steward.get(f"{page}/erasure").status_code == 303, "erasing begins with looking"
    before = steward.post(f"{page}/erasure", {"reason": WHY, "seen": "2"})
    assert "This cannot be undone" in before.text and "<bdi>2</bdi> people were listed" in before.text
    wrong = steward.post(f"{page}/erasure", {"reason": WHY, "confirm": "erase"})
    assert wrong.status_code == 422 and "Type ERASE in capital letters." in wrong.text
    assert len(_listed(steward, page)) == 2, "nothing was erased so far"
    form = {"reason": WHY, "confirm": "ERASE"}
    erased = steward.post(f"{page}/erasure", form, key="e" * 32)
    assert "People who were erased: <bdi>2</bdi>" in erased.text
    with ZipFile(io.BytesIO(inside(erased.text, "casehaven-erasures.zip"))) as file:
        receipts = {name: json.loads(file.read(name)) for name in file.namelist()}
    bodies = [json.loads(one["receipt"]) for one in receipts.values()]
    assert len(receipts) == 2 and {one["dataset"] for one in bodies} == {"harbour/aged"}
    assert set(receipts) == {f"casehaven-erasure-{one['number']}.json" for one in bodies}
    for one in bodies:
        assert one["number"] in erased.text
    assert "was shown already" in steward.post(f"{page}/erasure", form, key="e" * 32).text
    assert "Nobody was due any more" in steward.post(f"{page}/erasure", form).text
    number = bodies[0]["number"]
    again = steward.post(f"{page}/receipts", {"reason": WHY, "number": number})
    kept = receipts[f"casehaven-erasure-{number}.json"]
    assert json.loads(inside(again.text, f"casehaven-erasure-{number}.json")) == kept
    unknown = steward.post(f"{page}/receipts", {"reason": WHY, "number": "7"})
    assert "Nobody of this dataset was erased under this number" in unknown.text and 'value="7"' in unknown.text
    for wrong_number in ("x", "0", "9" * 19):
        assert steward.post(f"{page}/receipts", {"reason": WHY, "number": wrong_number}).status_code == 422
    left = {"T-31", "T-32", "T-33"} - named
    fields = {"dataset": "aged", "reason": WHY, "do": "find"}
    assert "This person is in the dataset." in steward.post("/people", {**fields, "reference": left.pop()}).text
    for token in named:
        assert "Nobody is there" in steward.post("/people", {**fields, "reference": token}).text


def _listed(steward: Reader, page: str) -> list[str]:
    return re.findall(r'<th scope="row"><bdi>(T-3\d)</bdi></th>', steward.post(page, {"reason": WHY}).text)


def test_everybody_gets_a_last_day_after_a_page_that_says_what_that_means(harbour: Harbour, dunja: Caller) -> None:
    place = dataset(dunja, "undated", {"T-41": "U-1", "T-42": "U-2"})
    page, steward = f"{place}/retention/everybody", fresh(dunja)
    for months in ("", "0", "1201", "two years"):
        refused = steward.post(page, {"reason": WHY, "months": months})
        assert refused.status_code == 422 and "from <bdi>1</bdi> to <bdi>1,200</bdi>" in refused.text, months
    before = steward.post(page, {"reason": WHY, "months": "24"})
    assert "It cannot be taken back for everybody" in before.text and "Nobody is erased by this." in before.text
    status = f"/v1{place}/status"
    assert dunja.get(status).json()["result"]["without_last_day"] == 2, "nothing was changed so far"
    done = steward.post(page, {"reason": WHY, "months": "24", "sure": "yes"})
    assert "Everybody has a last day now" in done.text
    standing = dunja.get(status).json()["result"]
    assert standing["without_last_day"] == 0
    assert standing["next_last_day"] > (datetime.now(UTC) + timedelta(days=24 * 30)).date().isoformat()


# --- files that were taken in ---


def test_each_file_that_was_taken_in_has_a_receipt_to_read_and_to_keep(harbour: Harbour, dunja: Caller) -> None:
    place = dataset(dunja, "filed", {"T-51": "F-1", "T-52": "F-2"})
    take_in(dunja, "filed", (HEAD + "F-3,T-53,yes,yes,2022,Man,USA\n").encode())
    corrected = {"reference": "T-51", "reason": WHY, "changes": {"gender": "Man"}}
    dunja.done("/v1/datasets/harbour/filed/people/correct", corrected)
    steward, page = fresh(dunja), f"{place}/intakes"
    assert "Show the receipts" in steward.get(page).text
    shown = steward.follow(steward.post(page, {}))
    rows = re.findall(r'<td class="number"><bdi>(\d+)</bdi></td>', shown.text)
    assert [rows[:3], rows[3:]] == [["1", "0", "2"], ["2", "1", "1"]], "records, those replaced since, version"
    newest = inside(shown.text, "casehaven-receipt-2.txt").decode("utf-8-sig")
    assert "Dataset: harbour/filed" in newest and "Records of the file that are there: 1" in newest
    assert "dunja" in newest and "for your organisation alone" in newest
    table = inside(shown.text, "casehaven-receipts.csv").decode().splitlines()
    assert table[0] == "taken_in_at_utc,dataset_version,records,replaced_since"
    assert [line.split(",")[1:] for line in table[1:]] == [["2", "1", "0"], ["1", "2", "1"]]
    address = shown.url.raw_path.decode()
    assert "shown once" in steward.get(address).text, "told once, and asked for again by the button"
    arabic = FreshReader(caller=dunja, language="ar")
    text = inside(arabic.follow(arabic.post(page, {})).text, "casehaven-receipt-1.txt").decode("utf-8-sig")
    assert "مجموعة البيانات: harbour/filed" in text


def test_a_dataset_without_files_has_no_receipts(harbour: Harbour, dunja: Caller) -> None:
    body = {"name": "blank", "schema": "ctdc-global", "people_cap": 500}
    dunja.done("/v1/organisations/harbour/datasets", body)
    steward = fresh(dunja)
    shown = steward.follow(steward.post("/datasets/harbour/blank/intakes", {}))
    assert "No file was taken in yet" in shown.text and 'href="/datasets/harbour/blank"' in shown.text


def test_a_page_that_names_another_job_gets_nothing_of_it_and_leaves_its_result(dunja: Caller) -> None:
    steward = fresh(dunja)
    job = dunja.post("/v1/datasets/harbour/cases/people/find", {"reference": "T-1", "reason": WHY}, wait=0).json()["id"]
    assert "shown once" in steward.get(f"/datasets/harbour/cases/intakes?job={job}").text
    for path, fields in (("duplicates", {"most": "20"}), ("retention", {}), ("retention/receipts", {"number": "7"})):
        said = steward.post(f"/datasets/harbour/cases/{path}", {"reason": WHY, "job": job, **fields})
        assert said.status_code == 200 and "was shown already" in said.text, path
    assert dunja.get(f"/v1/jobs/{job}").json()["result"] == {"found": True}


# --- what is rare in a running service ---


def page(template: str, language: str = "en", reason: str = WHY, **shown: object) -> str:
    """A page of nobody in particular, as text without isolation."""
    app = FastAPI()
    scope = {"type": "http", "method": "GET", "path": "/people", "query_string": b"", "headers": [], "app": app}
    request = Request({**scope, "scheme": "http", "server": ("localhost", 80), "client": ("127.0.0.1", 1), "state": {}})
    desk = Desk(request=request, backend=Backend(request), words=Words(language=LANGUAGES[language]))
    text = rendered(template, desk=desk, form=desk.blank(reason=reason, most="20"), dataset="cases", here="/x", **shown)
    return html.unescape(re.sub(r"</?bdi>", "", text))


def test_everything_that_two_people_can_agree_in_has_words() -> None:
    named = {field.label for fields in _FIELDS.values() for field in fields} | {"case reference"}
    assert named == set(SAME)
    people = [{"reference": "", "dataset": "harbour/old"}, {"reference": "R-9", "dataset": "harbour/old"}]
    pairs = [{"people": people, "same": [name]} for name in sorted(named)] + [{"people": people, "same": ["a shoe"]}]
    result = {"comparable": True, "pairs": pairs, "cut": True}
    for language in LANGUAGES:
        text = page("people/duplicates.html", language, result=result, how_many=("20",), same=SAME)
        assert '<span lang="en" dir="ltr">a shoe</span>' in text, "what has no words yet is shown as it came"
    english = page("people/duplicates.html", result=result, how_many=("20",), same=SAME)
    assert "same date of birth and telephone" in english and "There are more pairs" in english
    assert f"{len(pairs)} shown; there are more</h2>" in english
    assert "No reference was kept" in english and "in harbour/old" in english


def test_the_longest_lists_are_light_enough_for_a_slow_line() -> None:
    """As long as the routes make them, with the longest reason, references of some length, and the receipts of a whole form."""
    people = [{"reference": f"NGO-2026-{place:06}-case", "kept_until": "2020-01-31"} for place in range(500)]
    due = page("people/due.html", reason="x" * 1_000, result={"people": people, "cut": True})
    homes = [{"reference": one["reference"], "dataset": f"harbour/{place % 3}"} for place, one in enumerate(people)]
    pairs = [{"people": homes[place : place + 2], "same": list(SAME)} for place in range(200)]
    result = {"comparable": True, "pairs": pairs, "cut": True}
    twice = page("people/duplicates.html", reason="x" * 1_000, result=result, how_many=("20",), same=SAME)
    said = ["of some hundred characters, the same in every receipt " * 3] * 2
    receipts = []
    for place in range(ERASED_AT_ONCE):
        number = str(int.from_bytes(hashlib.sha256(str(place).encode()).digest()[:7]))
        body = {"number": number, "erased_month": "2026-11", "destroyed": said, "stays": said, "not_reached": said}
        signature = base64.b64encode(hashlib.sha512(number.encode()).digest()).decode()
        receipts.append(json.dumps({"receipt": json.dumps(body), "signature": signature, "public_key": "k" * 44}))
    bodies = [json.loads(json.loads(one)["receipt"]) for one in receipts]
    result = {"receipts": receipts, "cut": True}
    erased = page("people/erasure.html", result=result, receipts=bodies, archive=archive(receipts), most=150)
    assert "Erase the next ones" in erased
    for text in (due, twice, erased):
        assert weight(text.encode()) < BYTES, len(text.encode())


def test_records_without_anything_to_compare_are_no_list_without_pairs() -> None:
    result = {"comparable": False, "pairs": [], "cut": False}
    text = page("people/duplicates.html", result=result, how_many=("20",), same=SAME)
    assert "hold nothing to compare" in text and "No possible duplicates" not in text


def test_a_list_that_was_cut_says_so_and_what_goes_on_is_asked_for_again_by_the_same_form() -> None:
    people = [{"reference": "R-1", "kept_until": "2020-01-31"}]
    assert "There are more people than are listed here" in page(
        "people/due.html", result={"people": people, "cut": True}
    )
    waiting = page("people/wait.html", job="a" * 32, action="/datasets/north/cases/retention", back="/x")
    assert 'action="/datasets/north/cases/retention"' in waiting and f'name="reason" value="{WHY}"' in waiting
    assert f'name="job" value="{"a" * 32}"' in waiting
