"""The first steps of an organisation: what is done, what comes next, and the form for it. It can be left and resumed at any time.

1. Nothing is remembered here: whether a step is done is read from the service whenever the page is opened.
2. Each kind of organisation has its own steps. Steps can be done in any order; the first that is not done is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fastapi import Response

from casehaven.core.training import TRAINING
from casehaven.web.backend import place
from casehaven.web.desk import Desk, Signed
from casehaven.web.forms import Form
from casehaven.web.router import PageRouter

router = PageRouter()

PEOPLE_MOST: Final = 10**8
DATASET: Final = {"name": "cases", "people_cap": "10000"}
"""What the form of a first dataset begins with."""


@dataclass(frozen=True, kw_only=True)
class FirstStep:
    """One of the first steps."""

    name: str
    """Its words are `welcome.NAME`, `welcome.NAME_why`."""
    done: bool
    path: str = ""
    """Page where it is done; empty where its form is on this one."""


@router.get("/welcome")
async def welcome(desk: Signed) -> Response:
    """The first steps."""
    return await _show(desk, desk.blank(**DATASET))


@router.post("/welcome")
async def make_dataset(desk: Signed) -> Response:
    """Make the first dataset."""
    form = await desk.sent()
    form.needed("name", "schema")
    cap = form.number("people_cap", least=1, most=PEOPLE_MOST)
    if not form.fine:
        return await _show(desk, form)
    body = {"name": form.text("name"), "schema": form.text("schema"), "people_cap": cap}
    answer = await desk.ask("POST", "/v1/organisations/{}/datasets", desk.organisation, body=body)
    problem = answer.problem
    if problem is not None and problem.code not in ("step-up-needed", "forbidden", "not-signed-in"):
        form.problem = problem
        return await _show(desk, form)
    return desk.to_job(answer, then="/welcome", back="/welcome")


async def _show(desk: Desk, form: Form) -> Response:
    steps = await first_steps(desk)
    following = next((step.name for step in steps if not step.done), "")
    asks = following == "dataset" or not form.fine
    schemas = (await desk.get("/v1/schemas"))["items"] if asks and desk.may("dataset.create") else []
    return desk.page(
        "welcome/show.html",
        status=200 if form.fine else 422,
        steps=steps,
        following=following,
        schemas=[(one["id"], _label(one["title"], desk)) for one in schemas],
        form=form,
    )


async def first_steps(desk: Desk) -> list[FirstStep]:
    """Return the first steps of the reader's organisation, as the service knows them now."""
    found: list[FirstStep] = []
    if desk.may("dataset.create"):
        own = await own_datasets(desk)
        found.append(FirstStep(name="dataset", done=bool(own)))
        path = place("/datasets/{}/{}", desk.organisation, own[0]) if own else ""
        found.append(FirstStep(name="upload", done=await took_in(desk, own), path=path))
    if desk.may("member.invite"):
        members = await desk.get("/v1/organisations/{}/members", desk.organisation)
        found.append(FirstStep(name="member", done=len(members) > 1, path="/members"))
    if desk.may("organisation.create"):
        others = await desk.get("/v1/organisations")
        found.append(FirstStep(name="organisation", done=len(others) > 1, path="/organisations"))
    ways = await desk.get("/v1/credentials")
    two = len(ways["passkeys"]) > 1 or bool(ways["passkeys"] and ways["password"] and ways["app"])
    found.append(FirstStep(name="second_way", done=two, path="/account"))
    return found


async def own_datasets(desk: Desk) -> list[str]:
    """Return the names of the organisation's datasets, without the one of training."""
    items = (await desk.get("/v1/datasets"))["items"]
    return [one["name"] for one in items if one["organisation"] == desk.organisation and one["name"] != TRAINING]


async def took_in(desk: Desk, names: list[str]) -> bool:
    """Tell whether an upload of the first of these datasets was taken in, of those that the service still lists."""
    for name in names[:5]:
        found = await desk.get("/v1/datasets/{}/{}/uploads", desk.organisation, name, limit=50)
        if any(one["state"] == "committed" for one in found["items"]):
            return True
    return False


def _label(labels: dict[str, Any], desk: Desk) -> str:
    return str(labels.get(desk.words.language.code) or labels["en"])
