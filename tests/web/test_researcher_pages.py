"""A researcher builds a question, sees its price, asks it, reads the answer and repeats it at no charge. Over HTTP, as without a script, and in Chromium by keyboard."""

from __future__ import annotations

import csv
import html
import io
import json
import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import httpx
import pytest
from tests.web.pages import Reader

from casehaven.cli import main
from casehaven.client import Client
from casehaven.organisations.roles import Role
from casehaven.web.asking_form import note_plan
from casehaven.web.forms import blank_form

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.service.api.conftest import Caller, House
    from tests.web.conftest import WindowAs

FORM: Final[Mapping[str, Any]] = {
    "of": "north/cases",
    "show": "counts",
    "by": ["gender"],
    "registered": ["2019", "2020", "2022"],
    "accuracy": "within",
    "within": "15",
    "epsilon": "0.1",
    "at_most": "1",
}
"""A question of years that no other test asks about, so that nothing that others paid for helps it."""
OPERATIONS: Final = ["question.quote", "question.ask", "answer.list", "budget.read", "job.read"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One question that was asked on the page, for all tests of this file."""

    rita: Caller
    page: httpx.Response
    """Of the answer."""
    result: Mapping[str, Any]
    """The same from the route."""

    @property
    def path(self) -> str:
        """Of the page."""
        return str(self.page.url.path)


def price(reader: Reader, fields: Mapping[str, Any]) -> httpx.Response:
    """Press the button of the price."""
    return reader.post("/ask", {**fields, "do": "price"}, key=uuid4().hex)


def seen(page: httpx.Response) -> dict[str, str]:
    """What the page carries along of the price that it showed."""
    return dict(re.findall(r'name="(priced|tag)" value="([^"]*)"', page.text))


def ask(reader: Reader, fields: Mapping[str, Any]) -> httpx.Response:
    """Press the button of the price, then that of asking."""
    return reader.post("/ask", {**fields, **seen(price(reader, fields)), "do": "ask"}, key=uuid4().hex)


def left(caller: Caller) -> Any:
    """What is left of the own share of north/cases, in nano-rho."""
    question = {"by": [], "registered": ["2003"], "accuracy": {"within_people": 1000}}
    answer = caller.post("/v1/quotes", {"datasets": ["north/cases"], "question": question})
    return dict(answer.json()["result"]["allowances"])["north/cases"]


def member(house: House, handle: str, nano_rho: int | None) -> Caller:
    """A researcher of north with a share of north/cases; None: without a grant."""
    found = house.running.member("north", handle, Role.RESEARCHER)
    if nano_rho is not None:
        place = f"/v1/datasets/north/cases/grants/{handle}"
        assert house.north.call("PUT", place, body={"allowance_nano_rho": nano_rho}).status_code == 200
    return found


@pytest.fixture(scope="session")
def asked(house: House) -> Asked:
    rita = member(house, "rita", 600_000_000)
    page = Reader(caller=rita).follow(ask(Reader(caller=rita), FORM))
    assert page.status_code == 200 and "/answers/" in str(page.url), page.text
    result = rita.get(f"/v1/jobs/{str(page.url).rpartition('/')[2]}/result").json()
    return Asked(rita=rita, page=page, result=result)


# --- the answer ---


def test_the_page_of_an_answer_shows_each_number_with_its_interval(asked: Asked) -> None:
    text = asked.page.text
    rows = asked.result["answer"]["rows"]
    shown = [row for row in rows if not row.get("hidden")]
    assert len(rows) == 4 and shown
    for row in shown:
        said = rf"<bdi>{row['estimate']:,}</bdi></td><td class=\"number\"><bdi>{row['low']:,} to {row['high']:,}</bdi>"
        assert re.search(said, text), row
    assert text.count(">hidden</td>") == len(rows) - len(shown)
    assert text.count('class="bar"') == text.count('class="whisker"') == len(shown)
    assert f"This answer was charged: rho <bdi>{asked.result['charged_nano_rho'] / 1e9:.6f}</bdi>" in text
    assert "not a random sample" in text and "Hidden does not mean nobody" in text
    assert "First registered in 2019, 2020, 2022" in text
    assert asked.page.headers["cache-control"] == "no-store"


def test_the_file_holds_the_same_numbers_and_no_hidden_one(asked: Asked) -> None:
    file = Reader(caller=asked.rita).get(f"{asked.path}/answer.csv")
    assert file.headers["content-disposition"].startswith('attachment; filename="casehaven-answer-')
    found = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
    for row, told in zip(found, asked.result["answer"]["rows"], strict=True):
        assert row["gender"] == told["cell"][0][1]
        numbers = ["" if told.get("hidden") else str(told[name]) for name in ("estimate", "low", "high")]
        assert [row["estimate"], row["low"], row["high"]] == numbers
    assert found[1]["gender (label)"] == "Man"


def test_the_lines_of_the_page_repeat_the_answer_at_no_charge(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = asked.rita.post("/v1/tokens", {"name": "lines", "operations": OPERATIONS, "days": 1})
    assert made.status_code == 201, made.text
    (tmp_path / "token").write_text(made.json()["value"], encoding="ascii")
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "question.json").write_bytes(Reader(caller=asked.rita).get(f"{asked.path}/question.json").content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CASEHAVEN_SERVER", asked.rita.origin)
    monkeypatch.setenv("CASEHAVEN_TOKEN_FILE", str(tmp_path / "token"))
    before = left(asked.rita)
    assert f"as_of='{asked.result['answer']['snapshot']['day']}'" in block(asked.page.text, "python")
    names: dict[str, Any] = {}
    exec(compile(block(asked.page.text, "python"), "page", "exec"), names)  # noqa: S102 - our own page, to show that it runs
    repeated = names["answer"]
    assert isinstance(names["client"], Client)
    names["client"].close()
    assert repeated.document == asked.result["answer"]
    assert (repeated.charged_nano_rho, repeated.free) == (None, "stored")
    words = shlex.split(block(asked.page.text, "command"))
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*words[1:], "--json"])
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)["rows"] == asked.result["answer"]["rows"]
    assert left(asked.rita) == before


def block(page: str, name: str) -> str:
    """The lines of a page, as a reader copies them."""
    found = re.search(rf'<pre[^>]* id="{name}"[^>]*><code>(.*?)</code></pre>', page, re.DOTALL)
    assert found is not None
    return html.unescape(found[1])


def test_a_stored_answer_is_listed_for_everybody_who_may_ask_and_opens_at_no_charge(house: House, asked: Asked) -> None:
    steward, before = Reader(caller=house.north), left(asked.rita)
    listed = steward.get("/answers?of=north/cases").text
    pages = {path: steward.get(path) for path in re.findall(r'href="(/answers/north/cases/[0-9a-f]{32})"', listed)}
    found = [path for path, one in pages.items() if "First registered in 2019, 2020, 2022" in one.text]
    assert len(found) == 1
    page = steward.get(found[0])
    assert "A stored answer. Reading it costs nothing." in page.text
    assert "rita" not in page.text
    rows = r'<td class="number"><bdi>[^<]*</bdi>'
    assert re.findall(rows, page.text) == re.findall(rows, asked.page.text)
    assert f'href="{found[0]}/question.json"' in page.text
    question = Reader(caller=asked.rita).get(f"{asked.path}/question.json").json()
    assert steward.get(f"{found[0]}/question.json").json() == question
    file = steward.get(f"{found[0]}/answer.csv").content
    assert file == Reader(caller=asked.rita).get(f"{asked.path}/answer.csv").content
    assert asked.path in Reader(caller=asked.rita).get("/answers").text
    assert asked.path not in listed
    assert left(asked.rita) == before


def test_the_same_question_again_is_free_and_says_why(asked: Asked) -> None:
    rita, before = Reader(caller=asked.rita), left(asked.rita)
    page = price(rita, FORM)
    assert "It costs nothing." in page.text and "The same question was answered before" in page.text
    again = rita.follow(ask(rita, FORM))
    assert "This answer cost nothing." in again.text
    assert left(asked.rita) == before


def test_an_answer_of_somebody_else_is_not_there(house: House, asked: Asked) -> None:
    for path in (asked.path, f"{asked.path}/answer.csv", f"{asked.path}/question.json"):
        assert Reader(caller=house.researcher).get(path).status_code == 404


# --- the price ---


def test_a_price_charges_nothing_and_says_what_is_left(asked: Asked) -> None:
    before = left(asked.rita)
    page = price(Reader(caller=asked.rita), {**FORM, "within": "14", "registered": ["2005", "2006"]})
    assert page.status_code == 200
    assert re.search(r"It costs rho <bdi>0\.0\d+</bdi>: epsilon <bdi>0\.\d+</bdi>", page.text)
    assert "within <bdi>14</bdi> of the true number" in page.text
    assert f"of {before / 1e9:.6f} left" in page.text
    assert left(asked.rita) == before


def test_what_was_not_priced_is_not_asked(asked: Asked) -> None:
    rita, before = Reader(caller=asked.rita), left(asked.rita)
    fields = {**FORM, "registered": ["2007", "2008"]}
    tag = seen(price(rita, fields))
    for changed in (
        {**fields, "within": "13", **tag},
        {**fields, "by": ["ageBroad"], **tag},
        {**fields, **tag, "priced": "1"},
        {**fields, **tag, "priced": "x"},
        fields,
    ):
        answer = rita.post("/ask", {**changed, "do": "ask"}, key=uuid4().hex)
        assert answer.status_code == 200
        assert "It costs rho" in answer.text
    assert left(asked.rita) == before


def test_sent_twice_it_is_one_question(asked: Asked) -> None:
    rita = Reader(caller=asked.rita)
    fields = {**FORM, **seen(price(rita, FORM)), "do": "ask"}
    key = uuid4().hex
    assert (
        rita.post("/ask", fields, key=key).headers["location"] == rita.post("/ask", fields, key=key).headers["location"]
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"by": ["gender", "ageBroad", "citizenshipRegion", "isForcedLabour", "meansThreats"]},
            "Choose at most <bdi>4</bdi>",
        ),
        ({"by": ["citizenship", "CountryOfExploitation"]}, "too many cells to count: at most <bdi>20,000</bdi>"),
        ({"accuracy": "epsilon", "epsilon": "0.001", "records": "yes", "at_most": "9"}, "epsilon-fault"),
        ({"within": "0"}, "within-fault"),
        ({"accuracy": "epsilon", "epsilon": "none"}, "epsilon-fault"),
        ({"show": "percentages", "by": []}, "percentages are of the last axis"),
        ({"show": "median", "number": "gender"}, "number-fault"),
        ({"show": "quartiles", "number": ""}, "Choose what the median, the quartiles or the mean is of."),
        ({"show": "mean"}, "number-fault"),
    ],
)
def test_a_question_that_cannot_be_asked_says_what_is_wrong(
    asked: Asked, changed: Mapping[str, Any], said: str
) -> None:
    page = price(Reader(caller=asked.rita), {**FORM, **changed})
    assert page.status_code == 422
    assert said in page.text or said in page.text.lower(), re.findall(
        r'<div class="summary".*?</div>', page.text, re.DOTALL
    )
    assert 'value="ask"' not in page.text
    assert 'name="by" value="gender" checked' in page.text or "gender" not in changed.get("by", ["gender"])


@pytest.mark.parametrize(
    "changed",
    [
        {"show": "percentages"},
        {"show": "median", "number": "ageBroad"},
        {"show": "quartiles", "number": "ageBroad"},
        {"show": "mean", "number": "ageBroad", "up_to": "٩٠"},
        {"show": "mean", "number": "yearOfRegistration"},
        {"saved": "sdg-16.2.2"},
        {"records": "yes", "at_most": "2", "totals": "yes"},
        {"where-citizenshipRegion": ["002", "142"], "where-gender": ["~", "Woman"], "registered": ["~", "2003"]},
        {"accuracy": "epsilon", "epsilon": "٠٫٢"},
    ],
    ids=lambda changed: " ".join(changed),
)
def test_what_the_form_offers_has_a_price(asked: Asked, changed: Mapping[str, Any]) -> None:
    page = price(Reader(caller=asked.rita), {**FORM, **changed})
    assert page.status_code == 200, re.findall(r'<div class="summary".*?</div>', page.text, re.DOTALL)
    assert 'value="ask"' in page.text


# --- empty and exhausted ---


def test_a_share_that_does_not_suffice_is_said_before_asking_and_nothing_is_charged(house: House) -> None:
    tina = member(house, "tina", 1_000)
    page = price(Reader(caller=tina), {**FORM, "registered": ["2009", "2010"]})
    assert "This is more than what is left of your own share." in page.text
    assert 'value="ask"' not in page.text
    body = {
        "datasets": ["north/cases"],
        "question": {"by": ["gender"], "registered": ["2009", "2010"], "accuracy": {"within_people": 15}},
    }
    assert tina.post("/v1/answers", body, key=uuid4().hex).json()["code"] == "allowance-exhausted"


def test_what_costs_more_than_the_whole_public_cap_is_not_offered(asked: Asked) -> None:
    rita = Reader(caller=asked.rita)
    page = price(rita, {**FORM, "accuracy": "epsilon", "epsilon": "60"})
    assert page.status_code == 200 and "It costs rho" in page.text
    assert "This is more than the whole budget that may ever be spent here" in page.text
    assert 'value="ask"' not in page.text and "left of your own share." not in page.text
    assert 'value="ask"' not in rita.post("/ask", {**FORM, "epsilon": "60", "accuracy": "epsilon", "do": "live"}).text


@pytest.mark.parametrize(
    ("detail", "field"),
    [
        ("the question has 30000 cells in 3 tables, expected at most 20000 in 1100", "by"),
        ("no price buys an answer within 1", "within"),
        ("the budget is too small for the 4 tables of this question: ask for less, or pay more", "epsilon"),
        ("the question has 300 cells in 2000 tables, expected at most 20000 in 1100", None),
        ("", None),
    ],
)
def test_which_limit_a_question_passed_is_said_beside_the_field(detail: str, field: str | None) -> None:
    form = blank_form("", {})
    assert note_plan(form, detail) is (field is not None)
    assert list(form.faults) == ([] if field is None else [field])


def test_without_a_grant_there_is_a_next_step(house: House) -> None:
    nora = Reader(caller=member(house, "nora", None))
    for path in ("/ask", "/answers"):
        page = nora.get(path)
        assert page.status_code == 200
        assert "There is nothing that you may ask about yet" in page.text
        assert 'href="/training"' in page.text
    arabic = Reader(caller=nora.caller, language="ar").get("/ask")
    assert "لا شيء يمكنك السؤال عنه بعد" in arabic.text
    assert nora.post("/ask", {**FORM, "do": "price"}).status_code == 404


def test_whoever_reads_a_dataset_for_other_work_may_not_ask_about_it(house: House) -> None:
    cora = Reader(caller=house.running.member("north", "celia", Role.RESEARCHER, Role.CASEWORKER))
    assert "north/cases" in cora.get("/datasets").text
    assert "There is nothing that you may ask about yet" in cora.get("/ask").text


@pytest.mark.parametrize("of", ["south/cases", "north/none", f"agreement:{'0' * 32}", "<script>", "north"])
def test_what_is_out_of_reach_cannot_be_asked_about(house: House, asked: Asked, of: str) -> None:
    rita = Reader(caller=asked.rita)
    for page in (rita.get(f"/ask?of={of}"), rita.get(f"/answers?of={of}")):
        assert page.status_code == 200
        assert "This cannot be asked about" in page.text
        assert "<script>" not in page.text
    assert price(rita, {**FORM, "of": of}).status_code == 404


# --- in Chromium ---


def test_a_question_is_built_priced_asked_and_read_by_keyboard_alone(
    asked: Asked, window_as: WindowAs, screenshot: Callable[[Page, str], None]
) -> None:
    window = window_as(asked.rita)
    page = window.go("/ask")
    page.locator("#price button").wait_for()  # the price of everybody, by itself
    window.tab_to("input[name=by][value=gender]")
    page.keyboard.press("Space")
    page.locator("#price", has_text="Every count will be within 30").wait_for()
    window.tab_to("input[name=show]:checked")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")  # the median
    page.locator("#price", has_text="Choose what the median").wait_for()
    assert page.locator("#of-number[open]").count() == 1 and page.locator("#number").input_value() == ""
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.locator("#price", has_text="Every count will be within 30").wait_for()
    window.tab_to("#within")
    page.keyboard.press("Control+a")
    page.keyboard.type("35")
    page.locator("#price", has_text="Every count will be within 35").wait_for()
    assert window.barriers() == []
    screenshot(page, "researcher-ask")
    window.tab_to("#price button")
    page.keyboard.press("Enter")
    page.locator("table th", has_text="Woman").wait_for()
    assert "/answers/" in page.url
    assert window.barriers() == []
    screenshot(page, "researcher-answer")


LOOKS: Final = [("en", "dark", 375), ("ar", "light", 320), ("ar", "dark", 1280)]


@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS)
def test_axe_finds_no_barrier_on_the_pages_of_researchers(
    asked: Asked, window_as: WindowAs, screenshot: Callable[[Page, str], None], language: str, scheme: str, width: int
) -> None:
    window = window_as(asked.rita, color_scheme=scheme, locale=language, viewport={"width": width, "height": 800})
    for path in ("/ask?saved=sdg-16.2.2", "/ask", asked.path, "/answers"):
        page = window.go(path)
        if path.startswith("/ask"):
            page.locator("#price button").wait_for()
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert window.barriers() == [], path
        across = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert across <= 0, f"{path} is {across} px wider than the screen"
        if os.environ.get("GUIDE_SCREENSHOTS") and (language, path) == ("en", asked.path):
            screenshot(page, "researcher-answer-narrow")
