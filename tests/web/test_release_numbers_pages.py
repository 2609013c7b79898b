"""Pages of the numbers of a release, for everybody: tables for official statistics, two releases side by side, and a question at no charge."""

from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.made_synthesis import leaning
from tests.shelved import shelve
from tests.web.pages import Reader
from tests.web.press import Press, served_press
from tests.web.test_every_page import PUBLIC_BYTES, _check_page, weight

from casehaven.registry.reading import Published, opened
from casehaven.releases.indicators import indicator_tables, shipped_roles
from casehaven.web.comparison_pages import change_id
from casehaven.web.indicator_pages import ROWS
from casehaven.worker.publish import publish_vault
from caseschemas import load_schema
from casesynth.domain import Domain
from casesynth.signing import SigningKey

if TYPE_CHECKING:
    from playwright.sync_api import Page
    from tests.web.conftest import WindowAs

SCHEMA = load_schema("ctdc-global")
DAY = 86_400


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """A served registry with two versions of a release of the whole shipped schema, beside the release of the room."""

    press: Press
    first: str
    second: str

    def get(self, path: str, language: str = "en", **options: Any) -> httpx.Response:
        """Read as somebody who is not signed in."""
        headers = {"Accept": "text/html", "Accept-Language": language}
        return self.press.client().get(path, headers=headers, **options)

    def json(self, path: str) -> Any:
        """Read a route."""
        answer = self.press.client().get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Twenty thousand made-up people; in the second version there are 26,000."""
    with served_press(tmp_path_factory.mktemp("shelf") / "room", tmp_path_factory.getbasetemp()) as press:
        store, table = press.room.table.door.store, press.room.table
        key, now = SigningKey.load(table.bench.signing_key), press.room.now
        publish_vault(store, table.bench.vault, now)  # as the worker does when it starts: the schemas, too
        domain = Domain.from_schema(SCHEMA)
        first = shelve(
            store, key, leaning(domain), SCHEMA, title="Who <was> helped", created="2025-03-01", at=now - 9 * DAY
        )
        second = shelve(
            store,
            key,
            leaning(domain, people=26_000.0),
            SCHEMA,
            title="Who <was> helped",
            created="2026-03-01",
            version=2,
            concept=str(first["concept"]),
            at=now - DAY,
        )
        yield Shelf(press=press, first=str(first["id"]), second=str(second["id"]))


def words_of(text: str) -> str:
    """The text of a page without its tags."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text)))


# --- tables for official statistics ---


def test_the_tables_are_those_of_the_command_and_their_files_are_those_of_the_record(shelf: Shelf) -> None:
    record = shelf.json(f"/v1/registry/{shelf.first}")
    files = {each["format"]: each for each in record["indicators"]}
    assert sorted(files) == ["json", "xlsx"]
    for form, each in files.items():
        answer = shelf.press.client().get(f"/v1/registry/{shelf.first}/indicators.{form}")
        assert hashlib.sha256(answer.content).hexdigest() == each["sha256"] and len(answer.content) == each["size"]
        assert answer.headers["content-disposition"].endswith(f'{shelf.first}-indicators.{form}"')
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        assert "xl/worksheets/sheet6.xml" in book.namelist()
    folder = shelf.press.room.table.door.store.releases / record["release"]
    release = opened(Published(folder=folder, document=record))
    tables = indicator_tables(release.estimates, SCHEMA, shipped_roles(SCHEMA))
    document = shelf.json(f"/v1/registry/{shelf.first}/indicators.json")
    assert document["format"] == "casehaven-indicators/1" and len(document["tables"]) == len(tables) == 5
    for found, table in zip(document["tables"], tables, strict=True):
        rows = list(table.rows())
        assert len(found["cells"]) == len(rows)
        for cell, (_, estimate) in zip(found["cells"], rows, strict=True):
            assert (cell is None) == (not estimate.shown)
            assert cell is None or cell["estimate"] == round(estimate.value, 1)


@pytest.mark.parametrize("language", ["en", "ar"])
def test_every_part_of_every_table_is_light_and_whole(shelf: Shelf, language: str) -> None:
    document = shelf.json(f"/v1/registry/{shelf.second}/indicators.json")
    for place, table in enumerate(document["tables"]):
        parts = range(len(table["dimensions"][2]["lines"])) if language == "en" and place == 0 else (0, 1)
        for part in parts:
            text = shelf.get(f"/registry/{shelf.second}/indicators?table={place}&part={part}", language).text
            assert weight(text.encode()) < PUBLIC_BYTES, (place, part, weight(text.encode()))
            _check_page(text, language, "rtl" if language == "ar" else "ltr")
            assert "<svg viewBox" in text or "too small or too uncertain" in text or "غير مؤكد" in text
            assert "Who &lt;was&gt; helped" in text


def test_a_page_of_a_table_shows_its_cells_with_their_intervals(shelf: Shelf) -> None:
    table = shelf.json(f"/v1/registry/{shelf.first}/indicators.json")["tables"][0]
    sizes = [len(each["lines"]) for each in table["dimensions"]]
    for part in range(sizes[2]):
        text = words_of(shelf.get(f"/registry/{shelf.first}/indicators?table=0&part={part}").text)
        for line in range(sizes[0]):
            for column in range(sizes[1]):
                cell = table["cells"][(line * sizes[1] + column) * sizes[2] + part]
                if cell is not None:
                    said = f"{cell['estimate']:,.0f} {cell['low']:,.0f}–{cell['high']:,.0f}"
                    assert said in text, (part, line, column)


def test_a_long_table_goes_on_over_pages_and_arabic_has_names_of_its_own(shelf: Shelf) -> None:
    tables = shelf.json(f"/v1/registry/{shelf.first}/indicators.json")["tables"]
    place, table = next((n, one) for n, one in enumerate(tables) if len(one["dimensions"][0]["lines"]) > ROWS)
    seen = []
    path = f"/registry/{shelf.first}/indicators?table={place}"
    while path:
        text = shelf.get(path).text
        seen += re.findall(r'<th scope="row">([^<]*)</th>', text)
        more = re.search(r'<a href="([^"]*)#table">More lines', text)
        path = html.unescape(more[1]) if more else ""
    assert [html.unescape(each) for each in seen] == [line["label"] for line in table["dimensions"][0]["lines"]]
    arabic = shelf.get(f"/registry/{shelf.first}/indicators", "ar").text
    assert "طفل (دون 18 سنة)" in arabic and "Child (under 18)" not in arabic.partition("<details>")[0]


def test_what_is_not_there_says_so(shelf: Shelf) -> None:
    plain = shelf.get(f"/registry/{shelf.press.record}/indicators")
    assert plain.status_code == 200 and "This release has no such tables" in plain.text
    assert "casehaven indicators" in plain.text
    for query in ("table=17", "part=400"):
        assert shelf.get(f"/registry/{shelf.first}/indicators?{query}").status_code == 404
    assert shelf.press.client().get(f"/v1/registry/{shelf.press.record}/indicators.json").status_code == 404
    assert shelf.get("/registry/CHV-0000-0000-0000/indicators").status_code == 404


def test_the_page_and_the_fact_sheet_of_a_release_of_a_whole_schema_are_light(shelf: Shelf) -> None:
    for below in ("", "/facts"):
        for language in ("en", "ar"):
            answer = shelf.get(f"/registry/{shelf.second}{below}", language)
            assert answer.status_code == 200 and weight(answer.content) < PUBLIC_BYTES, weight(answer.content)
    assert "How far a count may be off, in people" in shelf.get(f"/registry/{shelf.second}").text
    files = {each["name"]: each["size"] for each in shelf.json(f"/v1/registry/{shelf.second}")["files"]}
    assert (
        files["aggregates.csv"] > 6 * 1024 * 1024 > files["aggregates.parquet"]
    )  # the CSV could not be read for a page


# --- two releases ---


def test_a_comparison_says_in_words_what_is_real(shelf: Shelf) -> None:
    found = shelf.json(f"/v1/registry/{shelf.second}/comparison?with={shelf.first}")
    assert found["people"]["real"] and found["records"] == [shelf.first, shelf.second]
    text = shelf.get(f"/registry/{shelf.second}/compare?with={shelf.first}").text
    said = words_of(text)
    real = [each for each in found["values"] if each["real"]]
    rose = sum(each["direction"] == "rose" for each in real)
    assert "rose, from about 20,000 to about 26,000" in said
    assert f"Of {len(found['values'])} values that were compared, {rose} rose and {len(real) - rose} fell" in said
    assert "rose, real" in said and "<svg viewBox" in text and "Holm" in said
    assert weight(text.encode()) < PUBLIC_BYTES
    _check_page(text, "en", "ltr")
    _check_page(shelf.get(f"/registry/{shelf.second}/compare?with={shelf.first}", "ar").text, "ar", "rtl")
    back = words_of(shelf.get(f"/registry/{shelf.first}/compare?with={shelf.second}").text)
    assert "fell, from about 26,000 to about 20,000" in back and "Turn it round" in back


def test_every_value_of_an_attribute_is_a_page_away(shelf: Shelf) -> None:
    found = shelf.json(f"/v1/registry/{shelf.second}/comparison?with={shelf.first}")
    for attribute in {each["facts"][0]["attribute"] for each in found["values"]}:
        text = shelf.get(f"/registry/{shelf.second}/compare?with={shelf.first}&attribute={attribute}").text
        assert weight(text.encode()) < PUBLIC_BYTES, attribute
        table = text.partition('id="of"')[2]
        for each in found["values"]:
            if change_id(each)[0][0] == attribute:
                assert f'<th scope="row">{html.escape(each["label"], quote=False)}</th>' in table
    assert "may be chance" in words_of(text)


def test_a_comparison_that_cannot_be_made_says_why_and_what_to_do(shelf: Shelf) -> None:
    cases = {
        shelf.press.record: (409, "different attributes or value lists"),
        shelf.second: (409, "not compared with itself"),
        "CHV-0000-0000-0000": (404, "These two cannot be compared"),
        "x": (404, "These two cannot be compared"),
    }
    for other, (status, said) in cases.items():
        answer = shelf.get(f"/registry/{shelf.second}/compare?with={other}")
        assert (answer.status_code, said in answer.text) == (status, True), other
        assert f'<option value="{shelf.first}"' in answer.text
    alone = shelf.get(f"/registry/{shelf.press.record}/compare").text
    assert "There is nothing to compare it with yet" in alone
    first = shelf.get(f"/registry/{shelf.second}/compare").text
    assert f'<option value="{shelf.first}"' in first and "Compare" in first
    assert shelf.press.client().get(f"/v1/registry/{shelf.second}/comparison").status_code == 422


def test_of_a_withdrawn_release_nothing_is_answered(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> None:
    with served_press(tmp_path_factory.mktemp("gone") / "room", tmp_path_factory.getbasetemp()) as gone:
        assert gone.record is not None
        gone.room.withdraw(gone.record)
        client = gone.client()
        asked = client.post(f"/v1/registry/{gone.record}/answers", json={"question": {"by": ["gender"]}})
        beside = client.get(f"/v1/registry/{gone.record}/comparison?with={gone.record}")
        tables = client.get(f"/v1/registry/{gone.record}/indicators.json")
        assert [one.status_code for one in (asked, beside, tables)] == [410, 410, 410]
        page = client.get(f"/registry/{gone.record}/indicators", headers={"Accept": "text/html"})
        assert page.status_code == 410
        compared = client.get(f"/registry/{gone.record}/compare", headers={"Accept": "text/html"})
        assert "This version was withdrawn" in compared.text
        home = Reader(caller=gone.caller("rosa")).get("/home").text
        assert "Withdrawn: do not use these any more" in home and "a column was mapped wrongly" in home


# --- a question at no charge ---


def asked(shelf: Shelf, record: str | None, question: Mapping[str, Any]) -> httpx.Response:
    """Ask a release as somebody who is not signed in."""
    return shelf.press.client().post(f"/v1/registry/{record}/answers", json={"question": question})


def test_a_question_to_a_release_costs_nothing_and_says_so(shelf: Shelf) -> None:
    before = shelf.press.room.spent()
    answer = asked(shelf, shelf.press.record, {"by": ["gender"]})
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["charged_nano_rho"], body["free"]) == (None, "release")
    shown = [row for row in body["answer"]["rows"] if "hidden" not in row]
    assert shown and all(row["low"] <= row["estimate"] <= row["high"] for row in shown)
    assert shelf.press.room.spent() == before
    refused: dict[str, dict[str, Any]] = {
        "release-question": {"by": ["gender"], "totals": True},
        "question": {"by": ["shoe"]},
        "body": {"by": ["gender"], "accuracy": {"within_people": 10}},
    }
    codes = {name: asked(shelf, shelf.press.record, question) for name, question in refused.items()}
    assert codes["release-question"].json()["code"] == "release-question"
    assert codes["question"].json()["code"] == "question" and codes["body"].status_code == 200
    assert asked(shelf, "CHV-0000-0000-0000", {"by": ["gender"]}).status_code == 404


def test_a_registry_for_members_answers_members_alone(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("closed") / "room"
    with served_press(folder, tmp_path_factory.getbasetemp(), public=False) as closed:
        client, question = closed.client(), {"question": {"by": ["gender"]}}
        assert client.post(f"/v1/registry/{closed.record}/answers", json=question).status_code == 401
        assert client.get(f"/v1/registry/{closed.record}/comparison?with={closed.record}").status_code == 401
        rosa = closed.caller("rosa")
        answers = [rosa.post(f"/v1/registry/{closed.record}/answers", question, wait=0) for _ in range(60)]
        assert "rate-limited" in {one.json().get("code") for one in answers if one.status_code == 429}
        page = Reader(caller=rosa).get(f"/registry/{closed.record}").text
        assert '<meta name="robots" content="noindex">' in page
    assert "noindex" not in shelf.get(f"/registry/{shelf.first}").text
    assert "noindex" not in shelf.get(f"/registry/{shelf.first}/indicators").text
    assert '<meta name="robots" content="noindex">' in shelf.get("/registry/CHV-0000-0000-0000").text
    assert '<meta name="robots" content="noindex">' in Reader(caller=shelf.press.officer).get("/home").text


def test_the_builder_asks_a_release_and_its_answer_can_be_taken_along(shelf: Shelf) -> None:
    rosa = Reader(caller=shelf.press.caller("rosa"))
    of = f"release:{shelf.second}"
    page = rosa.get(f"/ask?of={of}").text
    assert "A question to a published release costs nothing" in page and "It costs nothing." in page
    assert 'name="within"' not in page and 'name="totals"' not in page and 'value="median"' not in page
    form = {"of": of, "by": ["gender"], "show": "counts", "do": "ask"}
    text = rosa.post("/ask", form).text
    said = words_of(text)
    assert "This answer cost nothing." in said and "Number of people by Gender" in said
    rows = asked(shelf, shelf.second, {"by": ["gender"]}).json()["answer"]["rows"]
    for row in rows:
        assert "hidden" in row or f"{row['estimate']:,}" in said
    written = list(csv.DictReader(io.StringIO(rosa.post("/ask", {**form, "do": "csv"}).content.decode("utf-8-sig"))))
    assert [one["estimate"] for one in written] == [str(row.get("estimate", "")) for row in rows]
    assert {one["rho of the whole answer"] for one in written} == {"0.000000000"}
    question = json.loads(rosa.post("/ask", {**form, "do": "question"}).content)
    assert question["by"] == ["gender"]
    live = rosa.post("/ask", {**form, "do": "live"}).text
    assert "<html" not in live and "Ask, at no charge" in live
    many = rosa.post("/ask", {**form, "by": ["gender", "traffickMonths", "isForcedLabour", "isSexualExploit"]})
    assert many.status_code == 422 and "at most 3 attributes" in many.text


def test_home_of_who_reads_releases_tells_what_is_new(shelf: Shelf) -> None:
    text = Reader(caller=shelf.press.caller("rosa")).get("/home").text
    news = text.partition('id="news"')[2].partition('id="places"')[0]
    assert f'href="/registry/{shelf.second}"' in news and f'href="/registry/{shelf.first}"' not in news
    assert f'href="/registry/{shelf.second}/compare?with={shelf.first}"' in news
    assert f'href="/registry/{shelf.second}#cite"' in news and "Quote a number with its interval" in news
    assert 'id="news"' not in Reader(caller=shelf.press.steward).get("/home").text


# --- in a browser ---


def paths(shelf: Shelf) -> dict[str, str]:
    """The pages of this file, by the name of their picture."""
    return {
        "indicators": f"/registry/{shelf.second}/indicators",
        "compare": f"/registry/{shelf.second}/compare?with={shelf.first}&attribute=gender",
        "home": "/home",
        "ask-release": f"/ask?of=release:{shelf.second}",
    }


LOOKS = [("en", "light", 1280), ("ar", "dark", 360), ("en", "light", 320)]


@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS)
def test_axe_finds_no_barrier_and_a_screen_of_any_width_holds_a_page(
    shelf: Shelf,
    window_as: WindowAs,
    screenshot: Callable[[Page, str], None],
    language: str,
    scheme: str,
    width: int,
) -> None:
    window = window_as(
        shelf.press.caller("rosa"), color_scheme=scheme, locale=language, viewport={"width": width, "height": 800}
    )
    for name, path in paths(shelf).items():
        page = window.go(path)
        page.locator("h1").wait_for()
        assert window.barriers() == [], path
        across = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert across <= 0, f"{path} is {across} px wider than the screen"
        if width == 1280 or language == "ar":
            screenshot(page, f"policymaker-{name}{'-arabic' if language == 'ar' else ''}")


def test_by_keyboard_alone_and_without_a_script_a_reader_asks_a_release(shelf: Shelf, window_as: WindowAs) -> None:
    window = window_as(shelf.press.caller("rosa"), java_script_enabled=False)
    page = window.go(f"/registry/{shelf.second}")
    page.get_by_role("link", name="Ask it a question, at no charge").focus()
    page.keyboard.press("Enter")
    page.get_by_role("checkbox", name="Gender", exact=True).first.focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Ask, at no charge").focus()
    page.keyboard.press("Enter")
    page.get_by_text("This answer cost nothing.").wait_for()
    page.get_by_role("link", name="The release", exact=True).first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="How good the numbers are").wait_for()
