"""What a reader does next, read from the service: the steps that are open for them, the most useful first.

1. A step has words in `home.step_NAME` and `home.step_NAME_why`, and leads to a page that is there.
2. What others wait for comes first: an agreement that the reader's organisation has not signed.
3. Case records come first where there are none yet, and later where there are: an upload was taken in, or an agreement about the dataset is in force. No exact number is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from casehaven.web.agreement_pages import latest_document, waits_for_signature
from casehaven.web.backend import place
from casehaven.web.desk import Desk
from casehaven.web.welcome import took_in

AGREEMENTS: Final = 3
"""Agreements to sign that are steps of their own; the page of agreements has all."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do."""

    name: str
    path: str
    fill: dict[str, object] = field(default_factory=dict)
    """What is filled into its words."""


async def next_steps(desk: Desk) -> list[Step]:
    """Return the steps that are open for a reader."""
    found: list[Step] = []
    agreements = (await desk.get("/v1/agreements"))["items"] if desk.may("agreement.list") else []
    if desk.may("agreement.sign"):
        found += _to_sign(desk, agreements)
    if desk.may("dataset.list"):
        found += await _of_datasets(desk, agreements)
    if desk.may("job.read"):
        running = [job for job in (await desk.get("/v1/jobs", limit=25))["items"] if job["ended_at"] is None]
        found += [Step(name="job", path=place("/jobs/{}", job["id"])) for job in running[:1]]
    if desk.may("organisation.create") and len(await desk.get("/v1/organisations")) < 2:
        found.append(Step(name="found", path="/organisations"))
    if desk.may("release.approve"):
        found.append(Step(name="review", path="/officer"))
    if not found or not desk.may("dataset.list"):
        found.append(Step(name="registry", path="/registry"))
    there = {getattr(route, "path_regex", None) for route in desk.request.app.routes}
    return [step for step in found if any(regex and regex.fullmatch(step.path) for regex in there)]


def _to_sign(desk: Desk, agreements: Sequence[dict[str, Any]]) -> list[Step]:
    waiting = [one for one in agreements if waits_for_signature(one, desk.organisation)]
    return [
        Step(
            name="sign",
            path=place("/agreements/{}", one["agreement"]),
            fill={"title": latest_document(one)["document"]["title"]},
        )
        for one in waiting[:AGREEMENTS]
    ]


async def _of_datasets(desk: Desk, agreements: Sequence[dict[str, Any]]) -> list[Step]:
    datasets = (await desk.get("/v1/datasets"))["items"]
    own = [found["name"] for found in datasets if found["organisation"] == desk.organisation]
    if not own and desk.may("dataset.create"):
        return [Step(name="begin", path="/welcome")]
    found = [Step(name="ask", path="/ask")] if datasets and desk.may("question.ask") else []
    if own and desk.may("upload.create"):
        path, fill = place("/datasets/{}/{}", desk.organisation, own[0]), {"dataset": own[0]}
        if _agreed(f"{desk.organisation}/{own[0]}", agreements) or await took_in(desk, own[:1]):
            found.append(Step(name="more", path=path, fill={**fill}))
        else:
            found.insert(0, Step(name="upload", path=path, fill={**fill}))
    if not datasets and desk.may("question.ask"):
        found += [Step(name="registry", path="/registry"), Step(name="wait_for_grant", path="/account")]
    return found


def _agreed(dataset: str, agreements: Sequence[dict[str, Any]]) -> bool:
    """Tell whether an agreement about a dataset is in force."""
    standing = (
        one["document"]
        for found in agreements
        for one in found["documents"]
        if found["in_force"] and one["digest"] == found["in_force"]
    )
    return any(part["dataset"] == dataset for document in standing for part in document["contributions"])
