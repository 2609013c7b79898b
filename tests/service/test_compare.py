"""`casehaven compare`: two releases side by side, with honest intervals, and nothing called real that is chance."""

from __future__ import annotations

import itertools
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import pytest

from casehaven.releases.comparison import Comparison, compare, holm, summary
from casehaven.releases.published import PublishedRelease, open_release, verified_facts
from caseschemas import load_schema
from casesynth.estimates import Estimates
from casesynth.manifest import parse_manifest, sign_manifest, write_manifest
from casesynth.signing import SigningKey, TrustStore

if TYPE_CHECKING:
    from tests.service.conftest import People, Press


def _changed(press: Press, people: People) -> People:
    """Add 500 people whose citizenship nobody had: women, exploited for labour, otherwise like the others."""
    random = np.random.default_rng(9)
    names = [column.name for column in press.domain.columns]
    chosen = random.choice(len(people[0]), 500)
    more = [column[chosen] for column in people]
    for name, code in (("gender", "woman"), ("isForcedLabour", "1"), ("citizenship", "country 43")):
        more[names.index(name)] = np.full(
            500, press.domain.columns[names.index(name)].values.index(code), dtype=np.uint16
        )
    return tuple(np.concatenate(both) for both in zip(people, more, strict=True))


@pytest.fixture(scope="session")
def calm(refuge: Press) -> People:
    """Three thousand people, none of them of the last country."""
    people = list(refuge.people(3000, 1))
    place = [column.name for column in refuge.domain.columns].index("citizenship")
    people[place] = np.where(people[place] == 44, 1, people[place]).astype(np.uint16)
    return tuple(people)


@pytest.fixture(scope="session")
def before(refuge: Press, calm: People) -> Path:
    return refuge.publish("before", calm, created="2023-02-01")


@pytest.fixture(scope="session")
def after(refuge: Press, calm: People) -> Path:
    return refuge.publish("after", _changed(refuge, calm), created="2024-02-01")


def _opened(press: Press, bundle: Path) -> PublishedRelease:
    return open_release(verified_facts(bundle, TrustStore.load(press.folder / "trust.json")), press.options[1])


@pytest.fixture(scope="session")
def comparison(refuge: Press, before: Path, after: Path) -> Comparison:
    return compare(_opened(refuge, before), _opened(refuge, after), pairs=30)


# --- what is real ---


def test_a_real_change_is_found_and_named(comparison: Comparison) -> None:
    found = {change.facts: change for change in comparison.values}
    for fact in (("gender", "woman"), ("isForcedLabour", "1"), ("citizenship", "country 43")):
        assert found[(fact,)].real and found[(fact,)].rose, fact
    assert comparison.people.real and abs(comparison.people.difference - 500) < 3 * comparison.people.half_width
    assert {("gender", "woman"), ("isForcedLabour", "1")} in [set(pair.facts) for pair in comparison.pairs if pair.real]
    opening, rest = summary(comparison)
    assert "(2023-02-01) to the second (2024-02-01), the number of people in the records rose from about " in opening
    assert "fell for real; what else differs may be chance" in rest
    assert "The largest rise: Forced labour" in rest or "The largest rise: Gender: Woman" in rest


def test_the_other_way_round_the_same_changes_fall(refuge: Press, before: Path, after: Path) -> None:
    forth = compare(_opened(refuge, before), _opened(refuge, after), pairs=0)
    back = compare(_opened(refuge, after), _opened(refuge, before), pairs=0)
    for one, other in zip(forth.values, back.values, strict=True):
        assert (one.facts, one.real, one.difference) == (other.facts, other.real, -other.difference)
    assert "fell from about " in summary(back)[0]


def test_where_nothing_changed_nothing_is_real(refuge: Press, comparison: Comparison) -> None:
    """The same people released twice, with seeded noise, of four populations: at 5 % for each pair, two false ones would come once in 70 sets of seeds. Without Holm's
    correction all four are."""
    alarms = 0
    for seed in range(4):
        people = refuge.people(2000, 50 + seed)
        ends = [
            PublishedRelease(
                facts=comparison.first,
                schema=load_schema(refuge.options[1]),
                estimates=Estimates(domain=refuge.domain, model=made.model, errors=made.errors),
            )
            for made in (refuge.synthesis(people), refuge.synthesis(people, epsilon=3.0))
        ]
        found = compare(ends[0], ends[1], pairs=1)
        alarms += found.pairs_real > 0 or any(change.real for change in (found.people, *found.values))
    assert alarms < 2


def test_a_release_that_changed_in_nothing_says_so(refuge: Press, before: Path, calm: People, tmp_path: Path) -> None:
    again = _opened(refuge, before)
    found = compare(again, again, pairs=5)
    assert not any(change.real for change in (found.people, *found.values, *found.pairs)) and found.pairs_real == 0
    opening, rest = summary(found)
    assert "did not change by more than chance explains" in opening
    assert rest == f"Of {len(found.values)} values that were compared, none changed by more than chance explains."


# --- intervals ---


def test_differences_are_those_of_the_models_and_variances_add(
    refuge: Press, before: Path, after: Path, comparison: Comparison
) -> None:
    ends = [_opened(refuge, bundle).estimates for bundle in (before, after)]
    for change in (*comparison.values, *comparison.pairs):
        facts = [[fact for attribute, code in change.facts for fact in end.facts(attribute, code)] for end in ends]
        first, second = (end.of(part) for end, part in zip(ends, facts, strict=True))
        assert change.first.value == pytest.approx(first.value) and change.second.high == pytest.approx(second.high)
        assert change.difference == pytest.approx(second.value - first.value)
        assert change.half_width == pytest.approx(math.sqrt(first.half_width**2 + second.half_width**2))
        assert change.high - change.low == pytest.approx(2 * change.half_width)


def test_true_differences_lie_inside_their_intervals(refuge: Press, calm: People, comparison: Comparison) -> None:
    """95 % are promised for each of some 70 dependent values; below 80 % would be a fault."""
    later = _changed(refuge, calm)
    columns = refuge.domain.columns
    inside = []
    for change in comparison.values:
        ((attribute, code),) = change.facts
        place = next(i for i, column in enumerate(columns) if column.attribute == attribute)
        value = columns[place].values.index(code)
        truth = int((later[place] == value).sum()) - int((calm[place] == value).sum())
        inside.append(change.low <= truth <= change.high)
    assert len(inside) > 40
    assert np.mean(inside) >= 0.8


def test_every_value_that_either_release_shows_is_compared_once(comparison: Comparison, refuge: Press) -> None:
    facts = [change.facts for change in comparison.values]
    assert len(set(facts)) == len(facts)
    assert (("gender", ""),) in facts  # missing, of a list of values
    assert (("isForcedLabour", ""),) not in facts  # everybody but those with the one value
    assert all(change.first.shown or change.second.shown for change in comparison.values)
    assert len(comparison.pairs) == 30
    order = [(not pair.real, -abs(pair.difference)) for pair in comparison.pairs]
    assert order == sorted(order)


# --- the correction ---


def _slow_holm(chances: list[float], most: float) -> list[bool]:
    """Step down one by one, as Holm's paper says."""
    left = sorted(range(len(chances)), key=lambda place: chances[place])
    believed = [False] * len(chances)
    while left and chances[left[0]] <= most / len(left):
        believed[left.pop(0)] = True
    return believed


@pytest.mark.parametrize("seed", range(20))
def test_holm_is_the_slow_method(seed: int) -> None:
    random = np.random.default_rng(seed)
    chances = random.random(random.integers(1, 12)) ** random.integers(1, 6)
    assert holm(chances, 0.05).tolist() == _slow_holm(chances.tolist(), 0.05)


@pytest.mark.parametrize(
    ("chances", "believed"),
    [
        ([], []),
        ([0.05], [True]),
        ([0.0501], [False]),
        ([0.025, 0.05], [True, True]),
        ([0.026, 0.001], [True, True]),
        ([0.026, 0.026], [False, False]),
        ([0.0, 0.0, 0.0], [True, True, True]),
        ([1.0, 1.0], [False, False]),
    ],
)
def test_holm_at_its_edges(chances: list[float], believed: list[bool]) -> None:
    assert holm(np.array(chances, dtype=np.float64), 0.05).tolist() == believed


def test_holm_keeps_any_false_alarm_below_its_promise() -> None:
    """4,000 worlds of 50 overlapping tests where nothing changed; a promise that holds exactly fails here once in 700 runs."""
    random = np.random.default_rng(3)
    own = random.standard_normal((4_000, 50))
    shared = random.standard_normal((4_000, 1))
    errors = 0.6 * shared + 0.8 * own
    chances = np.array([[math.erfc(abs(z) / math.sqrt(2)) for z in row] for row in errors])
    alarms = np.mean([holm(row, 0.05).any() for row in chances])
    assert alarms <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)


# --- what is hidden ---


def test_a_number_that_is_hidden_in_one_release_has_no_difference_but_a_direction(
    refuge: Press, calm: People, tmp_path: Path
) -> None:
    """At this epsilon, nobody is mistaken for ten people once in a million runs."""
    before = refuge.publish("exact before", calm, epsilon=30.0)
    after = refuge.publish("exact after", _changed(refuge, calm), epsilon=30.0)
    (change,) = [
        c
        for c in compare(_opened(refuge, before), _opened(refuge, after), pairs=0).values
        if c.facts == (("citizenship", "country 43"),)
    ]
    assert not change.first.shown and change.second.shown and change.real and not change.shown
    page = tmp_path / "page.html"
    ended = refuge.run("compare", before, after, *refuge.options, "-o", page, "--pairs", "0")
    assert ended.exit_code == 0, ended.output
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("Citizenship: Country 43")]
    assert line.split()[3] == "hidden" and line.endswith("hidden  rose, real")
    document = json.loads(refuge.run("compare", before, after, *refuge.options, "--json").stdout)
    (stored,) = [c for c in document["values"] if c["facts"] == [{"attribute": "citizenship", "value": "country 43"}]]
    assert stored["first"] is None and stored["difference"] is None
    assert stored["real"] is True and stored["direction"] == "rose" and stored["second"]["low"] >= 1
    tree = ElementTree.fromstring(page.read_text(encoding="utf-8").partition("\n")[2])
    rows = [["".join(cell.itertext()) for cell in row] for row in tree.iter("tr")]
    (row,) = [row for row in rows if row[0] == "Citizenship: Country 43"]
    assert row[1] == "hidden" and row[2] != "hidden" and row[3:] == ["hidden", "rose, real"]


# --- the command ---


def test_json_and_terminal_say_the_same(refuge: Press, before: Path, after: Path, comparison: Comparison) -> None:
    document = json.loads(refuge.run("compare", before, after, *refuge.options, "--json", "--pairs", "4").stdout)
    assert document["format"] == "casehaven-comparison/1"
    assert document["summary"] == [line.replace("\u00a0", " ") for line in summary(comparison)]
    assert document["correction"] == {
        "method": "Holm",
        "false_alarm": 0.05,
        "values_compared": len(comparison.values) + 1,
        "pairs_compared": comparison.pairs_compared,
    }
    assert len(document["pairs"]) == 4 and document["pairs_real"] == comparison.pairs_real
    shown = [change for change in document["values"] if change["difference"]]
    for change in shown:
        difference = change["second"]["estimate"] - change["first"]["estimate"]
        assert change["difference"]["estimate"] == pytest.approx(difference, abs=0.11)
        assert (change["direction"] is not None) == change["real"]
    text = refuge.run("compare", before, after, *refuge.options).stdout
    for line in document["summary"]:
        assert line in text
    for wanted in ("do not add the releases up", "Holm's method", "Real means real in the records", "epsilon 4"):
        assert wanted in text
    assert text.count("rose, real") >= sum(change["real"] for change in document["values"])


def test_the_page_loads_nothing_and_its_plot_has_words(
    refuge: Press, before: Path, after: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    ended = refuge.run("compare", before, after, *refuge.options, "-o", page)
    assert ended.exit_code == 0 and f"wrote {page}" in ended.stderr
    text = page.read_text(encoding="utf-8")
    tree = ElementTree.fromstring(text.partition("\n")[2])
    for element in tree.iter():
        assert element.tag not in ("script", "img", "link", "iframe", "object", "embed", "form", "base")
        assert not {name for name in element.attrib if name in ("src", "srcset", "style") or name.startswith("on")}
        assert element.get("href", "#").startswith("#")
    assert "url(" not in text and "@import" not in text
    (plot,) = tree.iter("svg")
    assert plot.get("role") == "img"
    title, description = plot[0], plot[1]
    assert plot.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert "All people: +" in (description.text or "") and "(rose, real)" in (description.text or "")
    marks = [mark.get("class") for mark in (*plot.iter("circle"), *plot.iter("rect"))]
    assert "mark c0" in marks and "hollow" in marks  # real and not real differ in shape, not in colour alone
    assert "&lt;script&gt;" in text


def test_a_page_that_is_there_is_left_alone_unless_asked(
    refuge: Press, before: Path, after: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text("mine")
    refused = refuge.run("compare", before, after, *refuge.options, "-o", page)
    assert refused.exit_code == 1 and "is there already" in refused.stderr and page.read_text() == "mine"
    assert refuge.run("compare", before, after, *refuge.options, "-o", page, "--replace").exit_code == 0
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_first_release_that_is_the_later_one_is_pointed_out(refuge: Press, before: Path, after: Path) -> None:
    assert "first release is the later one" in refuge.run("compare", after, before, *refuge.options).stderr
    assert "later one" not in refuge.run("compare", before, after, *refuge.options).stderr


@pytest.mark.parametrize("place", [0, 1])
def test_a_changed_bundle_is_refused_on_either_side(
    refuge: Press, before: Path, after: Path, tmp_path: Path, place: int
) -> None:
    bundles = [before, after]
    bundles[place] = shutil.copytree(bundles[place], tmp_path / "copy")
    (bundles[place] / "aggregates.csv").write_text("length\n")
    ended = refuge.run("compare", *bundles, *refuge.options, "-o", tmp_path / "page.html")
    assert ended.exit_code == 1 and "changed: aggregates.csv" in ended.stderr
    assert not (tmp_path / "page.html").exists() and not ended.stdout


def test_an_unknown_signer_is_refused_with_the_command_that_trusts_them(
    refuge: Press, before: Path, after: Path
) -> None:
    options = (*refuge.options[:2], "--trust", str(refuge.folder / "nobody.json"))
    ended = refuge.run("compare", before, after, *options)
    assert ended.exit_code == 2 and not ended.stdout
    assert "keys trust add" in ended.stderr and str(before) in ended.stderr


def test_one_release_is_not_compared_with_itself(refuge: Press, before: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(before, tmp_path / "copy")
    ended = refuge.run("compare", before, copied, *refuge.options)
    assert ended.exit_code == 1 and "hold the same release" in ended.stderr


def _with_attributes(document: dict[str, Any], change: Callable[[list[dict[str, Any]]], object]) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(json.dumps(document))
    change(result["attributes"])
    return {**result, "id": "other"}


DIFFERENT: dict[str, tuple[Callable[[list[dict[str, Any]]], object], str]] = {
    "one more attribute": (
        lambda a: a.append({**a[3], "name": "extra", "labels": {"en": "Extra"}}),
        r"extra is only in \S*/other",
    ),
    "one attribute less": (lambda a: a.pop(), r"status is only in \S*/before"),
    "another value": (
        lambda a: a[3]["values"].append({"code": "new", "labels": {"en": "New"}}),
        "age has other values",
    ),
    "another order": (lambda a: a.insert(2, a.pop(3)), "the attributes stand in another order"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_releases_of_different_domains_are_refused_and_what_differs_is_named(
    refuge: Press, before: Path, name: str
) -> None:
    change, message = DIFFERENT[name]
    other = refuge.with_schema(_with_attributes(dict(refuge.schema), change))
    shutil.rmtree(refuge.folder / "other", ignore_errors=True)
    second = other.publish("other", other.people(300, 2))
    ended = refuge.run("compare", before, second, *refuge.options)
    assert ended.exit_code == 1 and not ended.stdout
    error = ended.stderr.splitlines()[0]
    assert "have different domains" in error
    assert re.search(message, error), error


def test_a_bundle_without_a_model_or_with_other_facts_is_refused(refuge: Press, before: Path, tmp_path: Path) -> None:
    key = SigningKey.load(refuge.folder / "key.pem")
    for number, spoil in enumerate(itertools.product(("model.parquet", None), ("guarantee", "domain", "title"))):
        copied = shutil.copytree(before, tmp_path / f"copy {number}")
        facts = dict(parse_manifest((copied / "manifest.json").read_bytes()).facts)
        if spoil[0]:
            (copied / spoil[0]).unlink()
        else:
            facts[spoil[1]] = 7
        write_manifest(copied, facts)
        sign_manifest(copied, key)
        ended = refuge.run("compare", copied, before, *refuge.options)
        assert ended.exit_code == 1
        assert ("holds no model.parquet" if spoil[0] else f"does not state '{spoil[1]}'") in ended.stderr
