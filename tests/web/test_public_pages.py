"""The registry and its releases as everybody reads them: complete without a script, light, in both languages, and a showcase that is shut in."""

from __future__ import annotations

import hashlib
import html
import io
import re
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.web.pages import Reader
from tests.web.press import Press, served_press
from tests.web.test_every_page import PUBLIC_BYTES, _check_page, weight

from casehaven.web.registry_pages import SANDBOX
from casehaven.web.release_numbers import read_numbers, rounded_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page
    from tests.web.conftest import WindowAs

REASON = "a column was mapped <wrongly>"


@pytest.fixture(scope="module")
def press(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Press]:
    """A release that is published, behind a server."""
    with served_press(tmp_path_factory.mktemp("public") / "room", tmp_path_factory.getbasetemp()) as made:
        yield made


def read(press: Press, path: str, language: str = "en") -> str:
    """A page as somebody reads it who is not signed in."""
    answer = press.client().get(path, headers={"Accept": "text/html", "Accept-Language": language})
    assert answer.status_code == 200, (path, answer.status_code)
    return answer.text


def pages(press: Press) -> list[str]:
    """The public pages."""
    return ["/registry", f"/registry/{press.record}", f"/registry/{press.record}/facts", "/registry/log"]


@pytest.mark.parametrize("language", ["en", "ar"])
def test_every_public_page_is_light_and_whole(press: Press, language: str) -> None:
    for path in pages(press):
        text = read(press, path, language)
        assert weight(text.encode()) < PUBLIC_BYTES, (path, weight(text.encode()))
        _check_page(text, language, "rtl" if language == "ar" else "ltr")


def test_a_release_page_says_what_a_reader_needs(press: Press) -> None:
    text = read(press, f"/registry/{press.record}")
    record = press.client().get(f"/v1/registry/{press.record}").json()
    for needed in (
        record["title"],
        record["citation"],
        record["fingerprint"],
        "ε = 4, δ = 1e-06",
        "at most <bdi>54.6</bdi> times as likely",
        "epsilon <bdi>8.83</bdi>",  # a bound is rounded up: it is 8.822
        "Not a random sample.",
        "Facts about groups.",
        "the first one",
        "metadata.json",
        "casehaven registry verify log.jsonl",
    ):
        assert needed in text, needed
    for each in record["downloads"]:
        path = (
            f"/v1/registry/{record['id']}/downloads/{each['table']}.{each['format']}{'?hxl=1' if each['hxl'] else ''}"
        )
        assert f'href="{path}"' in text
    assert 'rel="alternate" type="application/feed+json"' in text
    assert "north" not in text and "south" not in text


def test_every_link_of_a_release_page_leads_somewhere(press: Press) -> None:
    text = read(press, f"/registry/{press.record}")
    links = {link.partition("#")[0] for link in re.findall(r'<(?:a|link)[^>]* href="(/[^"?]*(?:\?hxl=1)?)"', text)}
    assert len(links) > 30
    reader = press.client()
    assert {link: found for link in links if (found := reader.get(link).status_code) not in (200, 303)} == {}


def test_the_lines_that_fetch_the_signed_files_fetch_each_of_them(press: Press) -> None:
    record = press.client().get(f"/v1/registry/{press.record}").json()
    block = re.search(
        r'<pre[^>]* id="fetch"[^>]*><code>(.*?)</code>', read(press, f"/registry/{press.record}"), re.DOTALL
    )
    assert block is not None
    first, *lines = html.unescape(block[1]).splitlines()
    assert first == "mkdir FOLDER"
    fetched = {words[3]: words[4] for words in map(shlex.split, lines) if words[:3] == ["curl", "--fail", "-o"]}
    assert len(fetched) == len(lines) and all(address.startswith(f"{press.origin}/v1/") for address in fetched.values())
    for name, sha256 in {f"FOLDER/{one['name']}": one["sha256"] for one in record["files"]}.items():
        content = press.client().get(fetched.pop(name).removeprefix(press.origin)).content
        assert hashlib.sha256(content).hexdigest() == sha256, name
    assert fetched == {"log.jsonl": f"{press.origin}/v1/registry/log.jsonl"}
    assert press.client().get("/v1/registry/log.jsonl").status_code == 200


def test_a_release_that_is_not_there_leads_to_the_registry(press: Press) -> None:
    answer = press.client().get("/registry/CHV-0000-0000-0000", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert '<li><a href="/registry">The registry: every published release, with a search</a></li>' in answer.text


def test_numbers_of_a_page_are_those_of_the_signed_tables(press: Press) -> None:
    names = ("aggregates.parquet", "datapackage.json", "manifest.json")
    found = read_numbers(*(press.client().get(f"/v1/registry/{press.record}/files/{name}").content for name in names))
    table = press.client().get(f"/v1/registry/{press.record}/files/aggregates.csv").text
    rows = [line.split(",") for line in table.splitlines()[1:]]
    known = [row for row in rows if row[7] == "False"]
    assert found.shown == tuple(sum(row[0] == str(length) for row in known) for length in (1, 2, 3))
    shown = {(each.name, count.value): count for each in found.attributes for count in each.counts}
    for row in known:
        if row[0] == "1":
            count = shown[row[1], row[2]]
            assert (count.estimate, count.low, count.high) == (float(row[8]), float(row[9]), float(row[10]))
    sheet = read(press, f"/registry/{press.record}/facts")
    for (_, value), count in shown.items():
        assert f"<bdi>{count.estimate:,.0f}</bdi>" in sheet and value in sheet
    # noise alone may let a pair stand apart; the page says which it is
    assert ("No pair of attributes is known" in read(press, f"/registry/{press.record}")) == (found.apart == ())


def test_pairs_that_stand_apart_are_read_from_the_manifest() -> None:
    rows = [
        {
            "length": 2,
            "attribute_1": "a",
            "value_1": "x",
            "missing": False,
            "estimate": 100.0,
            "low": 90.0,
            "high": 112.0,
        },
        {"length": 1, "attribute_1": "a", "value_1": "", "missing": True, "estimate": 5.0, "low": 1.0, "high": 9.0},
    ]
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), table)
    package = b'{"resources": [{"path": "synthetic.csv", "schema": {"fields": []}}]}'
    facts = b'{"facts": {"apart_pairs": [["a", "b"]], "near_pairs": [{"column": "c", "source": "d", "share": 1}]}}'
    found = read_numbers(table.getvalue(), package, facts)
    assert (found.apart, found.near, found.shown) == ((("a", "b"),), (("c", "d"),), (0, 1, 0))
    assert [(each.least, each.below, each.halves) for each in found.errors] == [(100, 200, (None, 12.0, None))]


def test_a_bound_is_never_rounded_down() -> None:
    assert [rounded_up(8.82205, 2), rounded_up(8.82, 2), rounded_up(54.598, 1)] == [8.83, 8.82, 54.6]


def test_words_of_a_title_are_found(press: Press) -> None:
    assert "Who is threatened" in read(press, "/registry?q=THREATENED+who")
    assert "Who is threatened" not in read(press, "/registry?q=fishing")
    assert "No release has these words" in read(press, "/registry?q=fishing")


def test_what_is_no_record_is_not_there(press: Press) -> None:
    for path in ("feed.json", "log.jsonl", "CHV-0000-0000-0000.v1", "..%2Fjobs", "x/facts", "feed.json/showcase"):
        assert press.client().get(f"/registry/{path}", headers={"Accept": "text/html"}).status_code == 404, path


def test_a_registry_for_members_asks_for_a_sign_in(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("members") / "room"
    with served_press(folder, tmp_path_factory.getbasetemp(), public=False) as closed:
        for path in [*pages(closed), f"/registry/{closed.record}/showcase"]:
            answer = closed.client().get(path, headers={"Accept": "text/html"})
            assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in"), path
            assert "threatened" not in answer.text
        assert Reader(caller=closed.steward).get(f"/registry/{closed.record}").status_code == 200


def test_the_showcase_runs_and_is_shut_in(press: Press, window_as: WindowAs) -> None:
    answer = press.client().get(f"/registry/{press.record}/showcase")
    assert answer.headers["content-security-policy"] == SANDBOX
    assert "allow-same-origin" not in SANDBOX and "allow-forms" not in SANDBOX and "allow-top" not in SANDBOX
    window = window_as(press.officer, bypass_csp=False)
    page = window.go(f"/registry/{press.record}/showcase")
    page.get_by_role("heading", name="Who is threatened").first.wait_for()
    page.get_by_role("button", name="Save these numbers (CSV)").wait_for()
    assert page.evaluate("self.origin") == "null"
    assert page.evaluate("(() => { try { return document.cookie } catch { return 'shut' } })()") in ("", "shut")
    assert page.evaluate("fetch('/v1/session').then(() => 'out', () => 'shut')") == "shut"
    window.said.clear()  # what Chromium says of the fetch that was refused


def test_a_showcase_that_is_not_the_records_is_not_opened(tmp_path_factory: pytest.TempPathFactory) -> None:
    with served_press(tmp_path_factory.mktemp("spoilt") / "room", tmp_path_factory.getbasetemp()) as spoilt:
        path = spoilt.room.table.door.store.releases / spoilt.release / "showcase.html"
        path.chmod(0o600)
        path.write_text(path.read_text(encoding="utf-8").replace("</body>", "<p>x</p></body>"), encoding="utf-8")
        assert spoilt.client().get(f"/registry/{spoilt.record}/showcase").status_code == 404


def test_a_withdrawn_release_shows_its_notice_first_and_its_numbers_no_more(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with served_press(tmp_path_factory.mktemp("withdrawn") / "room", tmp_path_factory.getbasetemp()) as gone:
        assert gone.record is not None
        form = Reader(caller=gone.officer)
        path = f"/releases/withdrawal/{gone.record}"
        assert form.post(path, {"reason": "", "sure": "yes"}).status_code == 422
        assert form.post(path, {"reason": REASON, "sure": "yes"}).status_code == 303
        assert {"record": gone.record, "reason": REASON}.items() <= gone.asked("release.withdraw").items()
        gone.room.withdraw(gone.record, REASON)
        text = read(gone, f"/registry/{gone.record}")
        assert text.index("This version was withdrawn") < text.index("What is promised to each person")
        assert "mapped <bdi>" not in text and "&lt;wrongly&gt;" in text and "<wrongly>" not in text
        assert (
            "How good the numbers are" not in text
            and "/downloads/" not in text
            and f"{gone.record}/showcase" not in text
        )
        assert "files/manifest.json" in text
        for below in ("facts", "showcase"):
            answer = gone.client().get(f"/registry/{gone.record}/{below}", headers={"Accept": "text/html"})
            assert answer.status_code == 410
        assert "withdrawn" in read(gone, "/registry") and "&lt;wrongly&gt;" in read(gone, "/registry/log")


LOOKS = [("en", "light", 1280), ("ar", "dark", 375), ("en", "dark", 320)]


@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS)
def test_axe_finds_no_barrier_and_a_screen_of_any_width_holds_a_page(
    press: Press,
    window_as: WindowAs,
    screenshot: Callable[[Page, str], None],
    language: str,
    scheme: str,
    width: int,
) -> None:
    window = window_as(
        None,
        origin=press.origin,
        color_scheme=scheme,
        locale=language,
        viewport={"width": width, "height": 800},
        java_script_enabled=True,
    )
    for path, name in zip(pages(press), ("registry", "release", "fact-sheet", "log"), strict=True):
        page = window.go(path)
        page.locator("h1").wait_for()
        assert window.barriers() == [], path
        across = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert across <= 0, f"{path} is {across} px wider than the screen"
        if language == "en" and width == 1280 or language == "ar" and name == "release":
            screenshot(page, f"policymaker-{name}{'-arabic' if language == 'ar' else ''}")


def test_without_a_script_and_by_keyboard_alone_a_reader_comes_to_a_download(press: Press, window_as: WindowAs) -> None:
    window = window_as(None, origin=press.origin, java_script_enabled=False)
    page = window.go("/registry")
    page.get_by_role("link", name="Who is threatened").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="How good the numbers are").wait_for()
    link = page.get_by_role("link", name="aggregates.csv", exact=True).first
    link.focus()
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == f"{press.record}-aggregates.csv"
