"""Asking under an agreement: what it lets be asked is what the page offers, no contributor is named, and an answer in which everything is hidden says what to do."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from tests.service.api.conftest import _has_keys
from tests.web.pages import Reader
from tests.web.test_researcher_pages import ask, price

from casehaven.core.projection import published
from casehaven.organisations.roles import Kind, Role

if TYPE_CHECKING:
    from tests.service.api.conftest import Caller, House

NAMES = ("islet", "skerry")
"""Contributors: two organisations with datasets that hold nobody. Noise within 18 people has a standard deviation of 9.2: of four counts of nobody one is 60 or more,
and shown, once in 10^10 runs."""


@dataclass(frozen=True, kw_only=True)
class Agreed:
    """An agreement in force between two organisations, and whoever may ask under it."""

    asker: Caller
    agreement: str
    steward: Caller

    @property
    def fields(self) -> dict[str, Any]:
        """A question under it."""
        return {
            "of": f"agreement:{self.agreement}",
            "show": "counts",
            "by": ["gender"],
            "accuracy": "within",
            "within": "18",
            "epsilon": "0.1",
            "at_most": "1",
        }


@pytest.fixture(scope="session")
def agreed(house: House) -> Agreed:
    running = house.running
    stewards = {name: running.organisation(name) for name in NAMES}
    for name, steward in stewards.items():
        running.wait(partial(_has_keys, running, name), 60)
        body = {"name": "cases", "schema": "ctdc-global", "people_cap": 1_000}
        steward.done(f"/v1/organisations/{name}/datasets", body)
    running.organisation("reef", Kind.RESEARCH)
    asker = running.member("reef", "rhea", Role.RESEARCHER)
    with running.store.reading() as connection:
        schema = published(connection, "dataset", "islet/cases")["schema_sha256"]
    fields = {"gender": "as_is", "citizenship": "citizenshipRegion", "ageBroad": "as_is"}
    terms = {
        "title": "Around the <islands>",
        "schema_sha256": schema,
        "contributions": [{"dataset": f"{name}/cases", "fields": fields} for name in NAMES],
        "readers": ["reef"],
        "askers": {"organisations": ["reef"], "members": []},
        "purposes": ["pooled_statistics"],
        "budget_nano_rho": 10**8,
        "people_cap": 2_000,
        "minimum_count": 60,
        "max_tokens_per_person": 2,
        "tokens_reason": None,
        "linkage": None,
        "expires": "2099-12-31",
    }
    made = stewards["islet"].post("/v1/agreements", {"terms": terms})
    assert made.status_code == 201, made.text
    agreement = made.json()["document"]["agreement"]
    for steward in stewards.values():
        steward.done(f"/v1/agreements/{agreement}/signatures", {"digest": made.json()["digest"]})
    return Agreed(asker=asker, agreement=agreement, steward=stewards["skerry"])


def test_an_agreement_is_asked_about_within_its_terms_names_no_contributor_and_ends_when_it_is_revoked(
    agreed: Agreed,
) -> None:
    rhea = Reader(caller=agreed.asker)
    built = rhea.get("/ask")
    assert "Around the &lt;islands&gt;" in built.text
    offered = re.findall(r'name="by" value="(\w+)"', built.text)
    assert offered == ["gender", "ageBroad", "citizenshipRegion"]
    assert "where-citizenshipRegion" in built.text and 'name="where-citizenship"' not in built.text
    assert 'name="registered"' not in built.text
    assert "Counts below <bdi>60</bdi> are hidden" in built.text
    priced = price(rhea, {**agreed.fields, "where-citizenshipRegion": ["002"]})
    assert "shares its budget of rho <bdi>0.100000</bdi>" in priced.text
    assert 'value="ask"' in priced.text
    assert re.search(r"for one person token, and <bdi>[0-9.]+</bdi> for one person who is known to up to", priced.text)
    dear = price(rhea, {**agreed.fields, "accuracy": "epsilon", "epsilon": "5"})
    assert "This is more than the whole budget" in dear.text and 'value="ask"' not in dear.text
    answered = rhea.follow(ask(rhea, agreed.fields))
    assert "counted together under an agreement" in answered.text
    assert "Every number is hidden" in answered.text and "Ask by fewer or coarser attributes" in answered.text
    assert answered.text.count(">hidden</td>") == 4
    shown = re.search(r'id="python"[^>]*><code>(.*?)</code>', answered.text, re.DOTALL)
    assert shown is not None and f"agreement='{agreed.agreement}'" in html.unescape(shown[1])
    assert f"--agreement {agreed.agreement}" in answered.text
    file = rhea.get(f"{answered.url.path}/answer.csv")
    listed = rhea.get("/answers")
    for page in (built, priced, answered, file, listed):
        assert page.status_code == 200
        assert not [name for name in NAMES if name in page.text]
    about = re.search(r"<h1>(.*?)</h1>", answered.text)
    used = Reader(caller=agreed.steward).get("/agreements/uses").text
    assert about is not None and f"<td>{about[1]}<details>" in used, "a contributor reads the question in words"
    assert "Others see only the public statement" in used
    assert agreed.steward.post(f"/v1/agreements/{agreed.agreement}/revocation").status_code == 204
    assert "There is nothing that you may ask about yet" in rhea.get("/ask").text
    assert rhea.post("/ask", {**agreed.fields, "do": "ask"}, key=uuid4().hex).status_code == 404
