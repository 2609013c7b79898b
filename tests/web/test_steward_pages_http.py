"""Uploads, people, agreements, own numbers and the ledger without a browser and without a script: what the pages do, refuse, and never tell."""

from __future__ import annotations

import io
import json
import math
import re
from zipfile import ZipFile

from tests.service.api.conftest import CANARY, take_in
from tests.web.harbour import CASES, MESSY, Harbour, carried, fields_of, sent_file
from tests.web.pages import Reader

from casehaven.organisations.roles import Role
from casehaven.signin.sessions import page_value
from casehaven.web.datasets_page import SCHEMAS
from caseschemas import shipped_schema_ids
from casesynth.privacy.accounting import epsilon_for


def test_every_shipped_schema_can_be_chosen() -> None:
    assert sorted(SCHEMAS) == sorted(shipped_schema_ids())


# --- uploads ---


def _mapping(harbour: Harbour, file: bytes = MESSY, key: str = "1" * 32) -> tuple[str, str]:
    """Send a file; return the address of its upload and the page of its mapping."""
    steward = harbour.reader
    page = steward.follow(sent_file(harbour.steward, file, key=key))
    assert page.status_code == 200, page.text
    return str(page.url).partition(str(harbour.steward.http.base_url))[2].partition("/mapping")[0], page.text


def test_a_file_is_sent_looked_at_and_taken_in_without_a_script(harbour: Harbour) -> None:
    upload, page = _mapping(harbour)
    assert "Guesses that need your yes: <bdi>" in page
    assert "Nothing tells whose record it is" in page
    assert "Zxqsecret" not in page + str(carried(page)), "free text is never in a mapping"
    steward, fields = harbour.reader, fields_of(page)
    refused = steward.post(f"{upload}/mapping", {**fields, "do": "take"})
    assert refused.status_code == 422
    assert "This is a guess. Say yes, or change it." in refused.text
    assert "Say that these rows stay behind" in refused.text
    yes = {name: "yes" for name in re.findall(r'name="(line\d+\.yes|person_yes)"', page)}
    again = steward.follow(
        steward.post(
            f"{upload}/mapping",
            {**fields_of(refused.text), **yes, "column0": "gender", "leave_refused": "yes", "do": "take"},
        )
    )
    assert "This is how you answered" in again.text, "answers that change the mapping lead to another dry run"
    assert steward.get(upload).text.count("Waits to be looked at")
    kept = steward.follow(steward.post(upload, {"do": "look"}))
    assert "These are your answers of the last time" in kept.text
    done = steward.follow(
        steward.post(f"{upload}/mapping", {**fields_of(kept.text), "leave_refused": "yes", "do": "take"}, key="2" * 32)
    )
    assert "The file was taken in" in done.text
    assert "<dd><bdi>4</bdi></dd>" in done.text
    assert "Taken in; the raw file is destroyed" in steward.get(upload).text
    name = upload.rpartition("/")[2]
    assert not list((harbour.running.folder).rglob(f"{name}*")), "nothing stays beside a file that was taken in"


def test_a_file_that_was_taken_in_before_says_so_and_counts_nothing(harbour: Harbour) -> None:
    """Nothing is added, so no number is told as if something were: not in the dry run, and not on the receipt."""
    harbour.steward.done(
        "/v1/organisations/harbour/datasets", {"name": "twice", "schema": "ctdc-global", "people_cap": 500}
    )
    take_in(harbour.steward, "twice", CASES)
    steward = harbour.reader
    page = steward.follow(sent_file(harbour.steward, CASES, dataset="twice", key="a7" * 16))
    assert "This very file was taken in before" in page.text
    assert "Rows in the file" in page.text and "Would be taken in" not in page.text
    listed = steward.get("/datasets/harbour/twice").text
    assert "<bdi>harbour-steward</bdi>" in listed and "<bdi>1 kB</bdi>" in listed
    assert (
        "Throw away" in listed
        and "Throw away" not in Reader(caller=harbour.caseworker).get("/datasets/harbour/twice").text
    )
    upload = str(page.url).partition(str(harbour.steward.http.base_url))[2].partition("/mapping")[0]
    yes = {name: "yes" for name in re.findall(r'name="(line\d+\.yes|person_yes)"', page.text)}
    done = steward.follow(steward.post(f"{upload}/mapping", {**fields_of(page.text), **yes, "do": "take"}))
    assert "The file was there already" in done.text and "nothing was added" in done.text
    assert "New records" not in done.text and "Records that were there already" not in done.text


def test_a_file_is_thrown_away_from_the_list(harbour: Harbour) -> None:
    upload, _ = _mapping(harbour, MESSY + b"B9,f.,2021,USA,,\n", key="b7" * 16)
    steward = harbour.reader
    assert f'action="{upload}"' in steward.get("/datasets/harbour/drafts").text
    steward.post(upload, {"do": "destroy"})
    assert f'action="{upload}"' not in steward.get("/datasets/harbour/drafts").text


def test_what_was_found_is_shown_once(harbour: Harbour) -> None:
    steward = harbour.reader
    page = steward.follow(sent_file(harbour.steward, MESSY, key="3" * 32))
    address = page.url.raw_path.decode()
    second = steward.get(address)
    assert second.status_code == 303
    assert "shown once" in steward.follow(second).text


def test_kept_answers_are_sealed_and_go_with_the_upload(harbour: Harbour) -> None:
    upload, page = _mapping(harbour, key="4" * 32)
    steward = harbour.reader
    steward.follow(steward.post(f"{upload}/mapping", {**fields_of(page), "column0": "gender", "do": "try"}))
    name = upload.rpartition("/")[2]
    (kept,) = harbour.running.folder.rglob(f"{name}.answers")
    data = kept.read_bytes()
    assert b"gender" not in data and b"Sexe" not in data and b"attributes" not in data
    steward.post(upload, {"do": "destroy"})
    assert not list(harbour.running.folder.rglob(f"{name}*"))


def test_answers_of_another_upload_are_refused(harbour: Harbour) -> None:
    """What a page carries along fits the upload that it was found in, and nothing that anybody made up."""
    one, page = _mapping(harbour, key="5" * 32)
    other, _ = _mapping(harbour, MESSY + b"B7,f.,2021,USA,,\n", key="6" * 32)
    steward = harbour.reader
    assert steward.post(f"{other}/mapping", {**fields_of(page), "do": "try"}).status_code == 400
    for made_up in ("", "e30=", "\u00e9", "AAAA" * 40):
        assert steward.post(f"{one}/mapping", {"found": made_up, "do": "take"}).status_code == 400
    for upload in (one, other):
        steward.post(upload, {"do": "destroy"})


def test_a_form_of_another_page_or_a_broken_one_leaves_nothing(harbour: Harbour) -> None:
    place = "/v1/datasets/harbour/drafts/uploads"
    before = [one["id"] for one in harbour.steward.get(place).json()["items"]]
    kept = {file.name for file in harbour.running.folder.rglob("*.sealed")}
    assert sent_file(harbour.steward, MESSY, page="x" * 43).status_code == 403
    assert sent_file(harbour.steward, MESSY, page="").status_code == 403
    whole = (
        f'--b\r\nContent-Disposition: form-data; name="page"\r\n\r\n{page_value(harbour.steward.session)}\r\n'
        f'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\n{"7" * 32}\r\n'
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\na,b\r\n1,2'
    ).encode()
    headers = {
        **harbour.reader._headers(),
        "Origin": harbour.steward.origin,
        "Content-Type": "multipart/form-data; boundary=b",
    }
    broken = harbour.steward.http.post("/datasets/harbour/drafts/uploads", content=whole, headers=headers)
    assert broken.status_code == 400
    assert [one["id"] for one in harbour.steward.get(place).json()["items"]] == before
    assert {file.name for file in harbour.running.folder.rglob("*.sealed")} <= kept


def test_a_caseworker_sends_and_answers_and_a_steward_takes_in(harbour: Harbour) -> None:
    worker = Reader(caller=harbour.caseworker)
    page = worker.follow(sent_file(harbour.caseworker, MESSY.replace(b"A1", b"C1"), key="8" * 32))
    assert "A steward of your organisation takes the file in" in page.text
    assert 'value="take"' not in page.text
    upload = page.url.path.rpartition("/")[0]
    yes = {name: "yes" for name in re.findall(r'name="(line\d+\.yes|person_yes)"', page.text)}
    taken = worker.post(f"{upload}/mapping", {**fields_of(page.text), **yes, "leave_refused": "yes", "do": "take"})
    assert taken.status_code == 403
    assert worker.post(upload, {"do": "destroy"}).status_code == 403
    harbour.reader.post(upload, {"do": "destroy"})


def test_another_organisations_upload_is_not_there(harbour: Harbour) -> None:
    upload, page = _mapping(harbour, MESSY + b"D8,f.,2021,USA,,\n", key="9" * 32)
    neighbour = Reader(caller=harbour.neighbour)
    assert neighbour.get(upload).status_code == 404
    assert neighbour.post(upload, {"do": "look"}).status_code == 404
    assert neighbour.post(f"{upload}/mapping", {**fields_of(page), "do": "try"}).status_code == 404
    harbour.reader.post(upload, {"do": "destroy"})


def test_what_is_no_table_of_cases_says_so_in_words_of_the_page_and_leads_back(harbour: Harbour) -> None:
    steward = harbour.reader
    empty = sent_file(harbour.steward, b"", key="e1" * 16)
    assert empty.status_code == 422 and "The file is empty" in empty.text
    assert 'href="/datasets/harbour/drafts"' in empty.text
    picture = steward.follow(sent_file(harbour.steward, b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, key="e2" * 16))
    assert "The file was not taken in" in picture.text and "A picture, a PDF or a letter is none" in picture.text
    ways = re.findall(r'href="(/datasets/harbour/drafts[^"]*)"', picture.text)
    assert ways[-1] == "/datasets/harbour/drafts" and "Destroy this upload" in steward.get(ways[0]).text
    steward.post(ways[0], {"do": "destroy"})
    bare = steward.follow(sent_file(harbour.steward, MESSY.splitlines()[0] + b"\n", key="e3" * 16))
    assert "There is no row in this file" in bare.text and 'value="take"' not in bare.text


# --- people ---


def _ask(reader: Reader, do: str, reference: str = "T-1", **fields: str) -> str:
    said = reader.post("/people", {"dataset": "cases", "reference": reference, "reason": "a test", "do": do, **fields})
    assert said.status_code == 200, said.text
    return said.text


def test_a_person_is_found_shown_and_corrected_and_no_address_names_them(harbour: Harbour) -> None:
    steward = harbour.reader
    assert "This person is in the dataset." in _ask(steward, "find")
    shown = _ask(steward, "show")
    assert "Ukraine" in shown and "Record <bdi>1</bdi> of <bdi>1</bdi>" in shown
    assert "<dd><bdi>T-1</bdi>" in shown, "whoever has several windows open sees whose this is"
    assert not re.search(r'(href|action)="[^"]*T-1', shown)
    assert "T-1" not in re.search(r"<title>(.*?)</title>", shown)[1]  # type: ignore[index]  # every page has one
    edit = _ask(steward, "edit", record="1")
    old = {name: value for name, value in re.findall(r'name="(old\.\w+)" value="([^"]*)"', edit)}
    new = {name.replace("old.", "new."): value for name, value in old.items()}
    assert (
        "Nothing was changed."
        in steward.post(
            "/people",
            {"dataset": "cases", "reference": "T-1", "reason": "a test", "do": "correct", "record": "1", **old, **new},
        ).text
    )
    corrected = _ask(steward, "correct", record="1", **old, **{**new, "new.citizenship": "Philippines"})
    assert "Corrected." in corrected and "What corrections replaced (<bdi>1</bdi>)" in corrected


def test_consent_is_withdrawn_and_a_last_day_set(harbour: Harbour) -> None:
    steward = harbour.reader
    said = _ask(steward, "consent", "T-2", purpose="pooled_statistics", given="no", language="fr", dated="2026-01-31")
    assert "Recorded." in said
    shown = _ask(steward, "show", "T-2")
    assert "2026-01-31" in shown and "(answer <bdi>2</bdi>)" in shown and "<bdi>Français</bdi>" in shown
    assert "2027-01-31" in _ask(steward, "retain", "T-2", until="2027-01-31")
    wrong = steward.post(
        "/people",
        {
            "dataset": "cases",
            "reference": "T-2",
            "reason": "x",
            "do": "consent",
            "purpose": "care",
            "given": "yes",
            "dated": "2090-01-01",
        },
    )
    assert wrong.status_code == 422
    assert 'id="summary"' in wrong.text


def test_a_page_that_is_loaded_again_does_nothing_again(harbour: Harbour) -> None:
    """A yes whose page is loaded again does not overrule the withdrawal that somebody recorded meanwhile."""
    steward = harbour.reader
    fields = {
        "dataset": "cases",
        "reference": "T-7",
        "reason": "a test",
        "do": "consent",
        "purpose": "pooled_statistics",
    }
    said = {"given": "yes", "dated": "2026-01-02", "language": "fr"}
    assert "answer <bdi>2</bdi>" in steward.post("/people", {**fields, **said}, key="a" * 32).text
    assert "answer <bdi>3</bdi>" in steward.post("/people", {**fields, "given": "no"}, key="b" * 32).text
    again = steward.post("/people", {**fields, **said}, key="a" * 32)
    assert "was shown already" in again.text
    shown = _ask(steward, "show", "T-7")
    assert "(answer <bdi>3</bdi>)" in shown and "(answer <bdi>4</bdi>)" not in shown
    edit = _ask(steward, "edit", "T-7", record="1")
    old = dict(re.findall(r'name="(old\.\w+)" value="([^"]*)"', edit))
    changed = {**old, **{name.replace("old.", "new."): value for name, value in old.items()}, "new.gender": "Man"}
    correct = {**fields, "do": "correct", "record": "1", **changed}
    assert "Corrected." in steward.post("/people", correct, key="c" * 32).text
    assert "was shown already" in steward.post("/people", correct, key="c" * 32).text
    assert _ask(steward, "show", "T-7").count("What corrections replaced (<bdi>1</bdi>)") == 1


def test_an_export_is_a_file_and_an_erasure_a_receipt_and_then_nobody_is_there(harbour: Harbour) -> None:
    steward = harbour.reader
    fields = {"dataset": "cases", "reference": "T-3", "reason": "a test"}
    file = steward.post("/people", {**fields, "do": "export", "kind": "json"})
    assert file.headers["content-disposition"] == 'attachment; filename="person.json"'
    assert file.headers["cache-control"] == "no-store"
    assert json.loads(file.text)["format"] == "casehaven-person/1"
    assert steward.post("/people", {**fields, "do": "erase", "confirm": "erase"}).status_code == 422
    erased = steward.post("/people", {**fields, "do": "erase", "confirm": "ERASE"})
    assert "This person was erased" in erased.text
    assert "data:application/json;base64," in erased.text
    gone = _ask(steward, "show", "T-3")
    never = _ask(steward, "show", "T-never")
    assert "Nobody is there under this reference" in gone
    assert re.sub(r'value="[^"]*"', "", gone) == re.sub(r'value="[^"]*"', "", never)


def test_a_reason_and_a_fresh_second_factor_are_needed(harbour: Harbour) -> None:
    steward = harbour.reader
    without = steward.post("/people", {"dataset": "cases", "reference": "T-1", "reason": "", "do": "show"})
    assert without.status_code == 422
    stale = Reader(caller=harbour.long_after_signing_in())
    asked = stale.post("/people", {"dataset": "cases", "reference": "T-1", "reason": "because", "do": "show"})
    assert asked.status_code == 403
    assert 'name="factor"' in asked.text and 'value="because"' in asked.text
    assert "This person is in the dataset." in _ask(stale, "find")


def test_what_is_typed_is_shown_as_text(harbour: Harbour) -> None:
    evil = '"><script>alert(1)</script>'
    steward = harbour.reader
    for do in ("find", "erase", "correct"):
        said = steward.post("/people", {"dataset": "cases", "reference": evil, "reason": evil, "do": do})
        assert "<script>alert" not in said.text
    said = steward.post("/agreements/new", {"dataset": "cases", "title": evil, "datasets": evil, "budget": evil})
    assert said.status_code == 422 and "<script>alert" not in said.text


def test_people_of_others_and_other_roles(harbour: Harbour) -> None:
    researcher = Reader(caller=harbour.running.caller("rosa", "north"))
    assert researcher.get("/people").status_code == 403
    worker = Reader(caller=harbour.caseworker)
    shown = _ask(worker, "show", "T-4")
    assert "Erase this person" not in shown and "Record an answer about consent" in shown
    fields = {"dataset": "cases", "reference": "T-4", "reason": "x"}
    assert worker.post("/people", {**fields, "do": "erase", "confirm": "ERASE"}).status_code == 403
    assert worker.post("/people", {**fields, "do": "export"}).status_code == 403


# --- own numbers ---


def test_own_tables_are_exact_marked_and_shown_once(harbour: Harbour) -> None:
    steward = harbour.reader
    shown = steward.follow(
        steward.post("/statistics", {"dataset": "cases", "reason": "a report", "years": "2021", "do": "show"})
    )
    assert "NOT FOR RELEASE." in shown.text
    assert "shown already" in steward.get(shown.url.raw_path.decode()).text
    wrong = steward.post("/statistics", {"dataset": "cases", "reason": "a report", "years": "21", "do": "show"})
    assert wrong.status_code == 422 and "four digits" in wrong.text


def test_own_tables_as_a_workbook(harbour: Harbour) -> None:
    steward = Reader(caller=harbour.running.member("harbour", "hanna", Role.STEWARD))  # exports are counted by member
    file = steward.follow(steward.post("/statistics", {"dataset": "cases", "reason": "a report", "do": "xlsx"}))
    assert file.headers["content-disposition"].startswith('attachment; filename="not-for-release-')
    assert "xl/workbook.xml" in ZipFile(io.BytesIO(file.content)).namelist()


def test_the_ledger_says_as_of_when_and_in_which_steps(harbour: Harbour) -> None:
    page = harbour.reader.get("/ledger").text
    assert "harbour/cases" in page and "Nothing was spent by then." in page and "<svg" in page
    assert CANARY not in page


# --- agreements ---


TERMS = {
    "dataset": "cases",
    "title": "A picture",
    "datasets": "island/cases",
    "ask_organisations": "harbour",
    "level.gender": "as_is",
    "purposes": "pooled_statistics",
    "budget": "0.5",
    "people_cap": "1000",
    "minimum_count": "10",
    "expires": "2030-01-01",
}


def test_terms_with_faults_come_back_with_what_was_typed(harbour: Harbour) -> None:
    steward, terms = harbour.reader, TERMS
    refused = steward.post("/agreements/new", {**terms, "people_cap": "10"})
    assert refused.status_code == 422 and "people_cap" in refused.text and "island/cases" in refused.text
    assert steward.post("/agreements/new", {**terms, "budget": "-1"}).status_code == 422
    none = {name: value for name, value in terms.items() if name != "level.gender"}
    assert "Let at least one attribute be counted." in steward.post("/agreements/new", none).text
    made = steward.post("/agreements/new", terms)
    assert made.status_code == 303
    assert "A picture" in steward.follow(made).text
    neighbour = Reader(caller=harbour.neighbour)
    assert "A picture" in neighbour.get("/agreements").text
    worker = Reader(caller=harbour.caseworker)
    assert worker.get("/agreements/new").status_code == 403
    outside = Reader(caller=harbour.running.caller("north-steward", "north"))
    assert outside.get(made.headers["location"]).status_code == 404


def test_a_budget_is_told_as_epsilon_where_it_is_proposed_read_and_paid(harbour: Harbour) -> None:
    """What it means for one person token, and for a person whom both organisations know, at the deployment's delta: rounded up."""
    steward = harbour.reader
    statement = harbour.steward.get("/v1/budgets/statement").json()["result"]
    delta = float(json.loads(statement["signed"])["statement"]["policy"]["delta"])
    one, two = (math.ceil(100 * epsilon_for(rho, delta)) / 100 for rho in (500_000_000, 2_000_000_000))
    form = steward.get("/agreements/new?dataset=cases").text
    assert f'<bdi>ρ 0.5</bdi></th><td class="number"><bdi>ε {one:g}</bdi>' in form
    assert f'<bdi>ρ 2</bdi></th><td class="number"><bdi>ε {two:g}</bdi>' in form
    typed = steward.post("/agreements/new", {**TERMS, "title": "", "budget": "0.013"}).text
    assert "<bdi>ρ 0.013</bdi>" in typed, "what was typed stands beside the usual ones"
    made = steward.post("/agreements/new", {**TERMS, "title": "As epsilon"}).headers["location"]
    for reader, language in ((steward, "en"), (Reader(caller=harbour.neighbour, language="ar"), "ar")):
        page = reader.get(made).text
        said = re.sub(r"</?bdi>", "", page[page.index("ρ 0.5") :])[:400]
        assert f"{one:g}" in said and f"{two:g}" in said and f"{delta:g}" in said, language
    share = math.ceil(100 * epsilon_for(20_000_000, delta)) / 100
    assert f"rho 0.02 is epsilon <bdi>{share:g}</bdi>" in steward.get("/grants").text


def test_an_assertion_that_is_none_is_refused(harbour: Harbour) -> None:
    place = harbour.reader.post("/agreements/new", TERMS).headers["location"]
    digest = harbour.steward.get(f"/v1{place}").json()["documents"][0]["digest"]
    for assertion in ("{", "[" * 3_000, "null", '{"id": 1}', '{"id": NaN}'):
        said = harbour.reader.post(place, {"do": "sign", "digest": digest, "assertion": assertion})
        assert said.status_code in (400, 422) or assertion == "null", assertion
    assert "Not signed yet" in harbour.reader.get(place).text


def test_an_agreement_that_waits_for_a_signature_is_the_first_step(harbour: Harbour) -> None:
    steward, neighbour = harbour.reader, Reader(caller=harbour.neighbour)
    place = steward.post("/agreements/new", {**TERMS, "title": "First of all"}).headers["location"]
    digest = str(harbour.steward.get(f"/v1{place}").json()["documents"][-1]["digest"])

    def steps() -> list[str]:
        return re.findall(r'<li class="panel"><h3><a href="([^"]+)">', neighbour.get("/home").text)

    waiting = [one for one in steps() if one.startswith("/agreements/")]
    assert waiting and steps()[: len(waiting)] == waiting, "what others wait for comes before everything else"
    neighbour.post(place, {"do": "decline", "digest": digest})
    assert place not in steps()


def test_who_has_records_is_asked_for_more_of_them_and_not_first(harbour: Harbour) -> None:
    """Whether an upload was taken in is known from the list of uploads; nothing exact is asked for."""
    home = Reader(caller=harbour.neighbour).get("/home").text
    assert "Bring more case records into <bdi>cases</bdi>" in home
    assert home.index('href="/ask"') < home.index("Bring more case records")


def test_an_agreement_is_signed_changed_declined_and_revoked_without_a_script(harbour: Harbour) -> None:
    steward, neighbour = harbour.reader, Reader(caller=harbour.neighbour)
    place = steward.post("/agreements/new", {**TERMS, "title": "Signed by both"}).headers["location"]

    def digest() -> str:
        return str(harbour.steward.get(f"/v1{place}").json()["documents"][-1]["digest"])

    assert "with a second factor" in steward.follow(steward.post(place, {"do": "sign", "digest": digest()})).text
    assert "In force" in neighbour.follow(neighbour.post(place, {"do": "sign", "digest": digest()})).text
    change = {**TERMS, "title": "Signed by both", "budget": "0.75", "change": place.rpartition("/")[2]}
    assert "An earlier document of it is in force" in steward.follow(steward.post("/agreements/new", change)).text
    assert neighbour.post(place, {"do": "sign", "digest": "0" * 64}).status_code == 409
    assert "Declined by" in neighbour.follow(neighbour.post(place, {"do": "decline", "digest": digest()})).text
    assert "Revoked" not in neighbour.follow(neighbour.post(place, {"do": "revoke"})).text, "it must be meant"
    assert "Revoked by" in neighbour.follow(neighbour.post(place, {"do": "revoke", "sure": "yes"})).text
    assert "Your data was not used under an agreement yet" in steward.get("/agreements/uses").text
