"""The whole story: three NGOs, an agreement, a withdrawal, twenty questions, a release that is approved and published, a policymaker who verifies it, and an NGO that leaves.

Through the real api and worker, on files and on Postgres; each person takes their key step in Chromium, and the others take theirs beside them. The waits are the ticks of releases
(privacy rule 24): what a person can do meanwhile is done meanwhile.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from tests.service.api.conftest import Caller
from tests.service.conftest import postgres
from tests.web.story import agreeing, asking, contributing, releasing
from tests.web.story.world import NGOS, World, on_files, on_postgres, read, run

from casehaven.organisations.roles import Kind, Role

if TYPE_CHECKING:
    from tests.web.conftest import WindowAs

__all__ = ["postgres"]  # the fixture
TITLE = "What shelters know together"
CERTAIN = 6.0
"""Standard deviations: outside of them is what happens once in 500 million runs."""


@pytest.fixture(params=["files", pytest.param("postgres", marks=pytest.mark.audit)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A service of its own: the story changes everything."""
    if request.param == "files":
        with on_files(tmp_path) as found:
            yield found
    else:
        with on_postgres(tmp_path, request.getfixturevalue("postgres")) as found:
            yield found


def test_the_whole_story(world: World, window_as: WindowAs) -> None:
    stewards = {name: world.running.organisation(name) for name in NGOS}
    world.running.organisation("university", Kind.RESEARCH)
    newcomer = world.running.member("university", "rosa", Role.RESEARCHER)
    officer = world.running.member("north", "otto", Role.PRIVACY_OFFICER)
    linkage = _word(run("linkage", "show", str(world.linkage_key)), "SHA256:")
    with ThreadPoolExecutor(1) as beside:  # one thread: commands take the process's output
        sent = beside.submit(contributing.bring_prepared, world, stewards["north"], stewards["south"])
        east = window_as(stewards["east"])
        contributing.upload_by_page(world, east, stewards["east"])
        sent.result()

        asked = beside.submit(lambda: {name: contributing.given(steward) for name, steward in stewards.items()})
        looked = beside.submit(contributing.somebody, world)
        terms = agreeing.propose(world, stewards, TITLE, linkage, purposes=["pooled_statistics", "synthetic_release"])
        agreement = terms["document"]["agreement"]
        agreeing.sign([stewards["north"], stewards["south"]], terms)
        agreeing.sign_by_page(east, TITLE, "east-steward")
        assert stewards["south"].get(f"/v1/agreements/{agreement}").json()["in_force"] == terms["digest"]
        known, person = asked.result(), looked.result()
        said = {"reference": person, "reason": "asked by the person", "purpose": "synthetic_release", "given": False}
        stewards["north"].done("/v1/datasets/north/cases/people/consent", said)

        first = releasing.draft(stewards["north"], agreement, "All three")
        approved = beside.submit(releasing.approve, list(stewards.values()), first, "steward")
        desk = window_as(officer)
        releasing.approve_by_page(desk, "All three")
        approved.result()
        drawing = beside.submit(releasing.draw, stewards["north"], first)

        # the tick of the release is a minute away: meanwhile the person says no to statistics, too, and the researcher asks
        contributing.withdraw_by_page(window_as(stewards["north"]), person)
        too_soon = releasing.ask_without_approvals(stewards["north"])
        builder = window_as(newcomer)
        asking.sign_in_by_page(builder, "rosa")
        researcher = world.running.caller("rosa", "university")  # a new password ended her sessions
        with asking.asked_from_a_list(researcher, agreement) as answers:
            by_page = [asking.ask_by_page(builder, agreement, *each) for each in asking.BY_PAGE]
            seen = [builder.page.content()]
        answers = [*by_page, *answers]
        assert len(answers) == 20
        again = asking.ask(researcher, agreement, *asking.BY_PAGE[-1])
        assert (again["answer"], again["charged_nano_rho"], again["free"]) == (by_page[-1]["answer"], None, "stored")
        now = contributing.given(stewards["north"])
        for purpose in ("pooled_statistics", "synthetic_release"):
            assert now[purpose] == known["north"][purpose] - 1

        drawing.result()
        officer.keep_fresh()
        record = releasing.publish_by_page(desk, "All three")

        # an NGO leaves: the agreement ends for all, and the two others sign one without it
        stewards["east"].keep_fresh()
        agreeing.revoke_by_page(east, TITLE)
        refused = researcher.post(
            "/v1/answers", {"agreement": agreement, "question": asking.question("gender", 150)}, key=uuid4().hex
        )
        assert refused.json()["code"] == "agreement-needed"
        before, staying = world.spent(), {name: stewards[name] for name in ("north", "south")}
        terms = agreeing.propose(world, staying, "Without east", linkage, purposes=["synthetic_release"])
        agreeing.sign(list(staying.values()), terms)
        second = releasing.draft(staying["north"], terms["document"]["agreement"], "Two of them")
        releasing.approve(list(staying.values()), second, "steward")
        releasing.approve([officer], second, "privacy_officer")
        drawing = beside.submit(releasing.draw, staying["north"], second)
        reader = window_as(None, origin=world.origin)
        seen.append(releasing.read_and_save(reader, record))
        shown = [releasing.verify(world, record)]
        releasing.refused(stewards["north"], too_soon)
        later = releasing.publish(officer, drawing.result())
    seen.append(releasing.read_and_save(reader, later))
    shown.append(releasing.verify(world, later))
    numbers = releasing.read_numbers(world, [record, later])

    for text in [*seen, json.dumps(shown), json.dumps(answers), json.dumps(numbers)]:
        _names_no_contributor(text)
    _holds(shown, known)
    prices = [one["guarantee"]["nano_rho"] for one in shown]
    _adds_up(world, stewards, answers, prices, before)


def _word(text: str, beginning: str) -> str:
    return next(word for word in text.split() if word.startswith(beginning))


def _names_no_contributor(text: str) -> None:
    for name in NGOS:
        for shape in (f"{name}/", f"{name}-steward", f'"{name}', f">{name}<", f">{name.title()}<", f"\u2068{name}"):
            assert shape not in text, f"{shape!r} in {text[:2000]}"


def _holds(shown: list[dict[str, Any]], known: Mapping[str, Mapping[str, int]]) -> None:
    """The first release counts everybody who said yes, and the second the people of north and south alone.

    East did not prepare its file under the linkage key, so the first one counts whoever is known to two NGOs twice; north and south know the same people, and the second one counts them once.
    """
    asked = {name: one["synthetic_release"] for name, one in known.items()}
    without, with_all = asked["north"], sum(asked.values())
    assert _agrees(shown[0]["people"], with_all) and not _agrees(shown[0]["people"], with_all - asked["east"])
    assert _agrees(shown[1]["people"], without) and not _agrees(shown[1]["people"], without + asked["east"])


def _agrees(people: Mapping[str, int], number: int) -> bool:
    deviation = (people["high"] - people["low"]) / 2 / 1.959964
    return abs(people["estimate"] - number) < CERTAIN * deviation


def _adds_up(
    world: World,
    stewards: Mapping[str, Caller],
    answers: Iterable[Mapping[str, Any]],
    prices: list[int],
    before: Mapping[str, set[int]],
) -> None:
    """The ledger, what each NGO is told its data was used for, and what askers and readers were told, are the same to the nano-rho."""
    told = Counter(one["charged_nano_rho"] for one in answers if one["charged_nano_rho"])
    missed = sum(one["missed"] for one in answers)
    after = world.spent()
    for name, steward in stewards.items():
        used = read(steward, f"/v1/organisations/{name}/agreement-uses?limit=100")["items"]
        charged: dict[str, list[int]] = {"pooled_statistics": [], "synthetic_release": []}
        for one in used:
            assert one["dataset"] == f"{name}/cases" and one["state"] in ("charged", "free")
            if one["state"] == "charged":
                charged[one["purpose"]].append(one["nano_rho"])
        untold = Counter(charged["pooled_statistics"])
        untold.subtract(told)
        assert min(untold.values()) >= 0
        assert (
            untold.total() == missed
        )  # one that missed its tick was charged, and its asker was told so without the amount
        questions = sum(charged["pooled_statistics"])
        assert before[f"{name}/cases"] == {questions + prices[0]}
        later = 0 if name == "east" else prices[1]
        assert sorted(charged["synthetic_release"]) == sorted([prices[0], *([later] if later else [])])
        assert after[f"{name}/cases"] == {questions + prices[0] + later}
