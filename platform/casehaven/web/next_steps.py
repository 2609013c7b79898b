"""What a reader does next, read from the service: the steps that are open for them, the most useful first.

A step has words in `home.step_NAME` and `home.step_NAME_why`, and leads to a page that is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from casehaven.web.backend import place
from casehaven.web.desk import Desk


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
    if desk.may("dataset.list"):
        found += await _of_datasets(desk)
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


async def _of_datasets(desk: Desk) -> list[Step]:
    datasets = (await desk.get("/v1/datasets"))["items"]
    own = [found["name"] for found in datasets if found["organisation"] == desk.organisation]
    if not own and desk.may("dataset.create"):
        return [Step(name="begin", path="/welcome")]
    found = []
    if own and desk.may("upload.create"):
        path = place("/datasets/{}/{}", desk.organisation, own[0])
        found.append(Step(name="upload", path=path, fill={"dataset": own[0]}))
    if datasets and desk.may("question.ask"):
        found.append(Step(name="ask", path="/ask"))
    if not datasets and desk.may("question.ask"):
        found += [Step(name="registry", path="/registry"), Step(name="wait_for_grant", path="/account")]
    return found
