"""An agreement: proposed and signed by stewards, by the page or beside it, and revoked by one who leaves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.service.api.conftest import Caller
from tests.web.pages import Window
from tests.web.story.world import CAP, SCHEMA, World

from casehaven.core.projection import published
from caseschemas import load_schema


def propose(
    world: World, stewards: Mapping[str, Caller], title: str, linkage: str, *, purposes: Sequence[str]
) -> Mapping[str, Any]:
    """Propose what may be done with the datasets of these NGOs together."""
    with world.running.store.reading() as connection:
        schema = published(connection, "dataset", "north/cases")["schema_sha256"]
    fields = {one.name: "as_is" for one in load_schema(SCHEMA).analysis}
    terms = {
        "title": title,
        "schema_sha256": schema,
        "contributions": [{"dataset": f"{name}/cases", "fields": fields} for name in sorted(stewards)],
        "readers": ["university"],
        "askers": {"organisations": ["university", "north"], "members": []},
        "purposes": list(purposes),
        "budget_nano_rho": 20 * 10**9,
        "people_cap": CAP * len(stewards),
        "minimum_count": 10,
        "max_tokens_per_person": len(stewards),
        "tokens_reason": None,
        "linkage": linkage,
        "expires": "2099-12-31",
    }
    made = stewards["north"].post("/v1/agreements", {"terms": terms})
    assert made.status_code == 201, made.text
    found: Mapping[str, Any] = made.json()
    return found


def sign(stewards: Sequence[Caller], proposed: Mapping[str, Any]) -> None:
    """Sign these very terms."""
    for steward in stewards:
        steward.done(f"/v1/agreements/{proposed['document']['agreement']}/signatures", {"digest": proposed["digest"]})


def sign_by_page(window: Window, title: str, handle: str) -> None:
    """Find the agreement among those that wait, read it, and sign."""
    page = window.go("/agreements")
    page.get_by_role("link", name=title).click()
    page.get_by_role("button", name="Sign for your organisation").click()
    page.locator("td", has_text=re.compile(f"Signed by .*{handle}")).wait_for()


def revoke_by_page(window: Window, title: str) -> None:
    """Leave: the agreement ends at once, for everybody."""
    page = window.go("/agreements")
    page.get_by_role("link", name=title).click()
    page.locator("summary", has_text="Revoke the agreement").click()
    page.get_by_label("I revoke it for my organisation").check()
    page.get_by_role("button", name="Revoke the agreement").click()
    page.locator(".message", has_text=re.compile("Revoked by .*east")).wait_for()
