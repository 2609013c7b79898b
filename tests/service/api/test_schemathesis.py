"""Requests made from the service's own OpenAPI document, by each role: none ends in a fault of the program, and every answer is as the document says (no 5xx)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from tests.service.api.conftest import CANARY, furnish, served

from casehaven.signin.principal import PAGE_HEADER, SESSION_COOKIE
from casehaven.signin.sessions import page_value

if TYPE_CHECKING:
    from tests.service.api.conftest import Caller, House

SKIPPED = {("DELETE", "/v1/session")}
"""Would sign the caller out."""

QUESTIONS: list[Any] = [
    {"by": ["gender"], "accuracy": {"within_people": 90}},
    {"by": ["gender", "ageBroad"], "where": {"attribute": "yearOfRegistration", "equals": "2021"}, "epsilon": 0.01},
    {"by": [], "accuracy": {"within_people": 80}},
    {"by": ["gender"], "accuracy": {"within_people": -1}},
    {"by": "gender"},
    {},
]
REAL: dict[str, dict[str, list[Any]]] = {
    "/v1/quotes": {"datasets": [["north/cases"], ["south/cases"], []], "question": QUESTIONS},
    "/v1/answers": {"datasets": [["north/cases"], ["south/cases"]], "question": QUESTIONS},
    "/v1/organisations/{organisation}/release-plans": {"datasets": [["cases"]], "epsilon": [0.5, 1e-9, 50.0]},
    "/v1/organisations/{organisation}/audit-report": {"reason": ["a look", ""], "since": ["2026-02-31", "2026-01-01"]},
    "/v1/audit/verification": {"checkpoints": [["x"], ["casehaven\n1\nAAAA\n"]]},
    **{
        f"/v1/datasets/{{organisation}}/{{dataset}}/people/{verb}": {
            "reference": [f"{CANARY}-0-1", f"{CANARY}-ref-0-2", "nobody", "\u202e", " "],
            "reason": ["a call", "", " "],
            "changes": [{"gender": "Woman"}, {"gender": CANARY}, {CANARY: "x"}, {}],
            "dated": ["2026-02-30", "2024-02-29", "0000-01-01"],
        }
        for verb in ("find", "show", "correct", "consent", "export", "erase")
    },
}
"""Route and field: values that get past the form of a body, beside those that are made up."""

KNOWN = {"organisation": ["north", "south", "hosts"], "dataset": ["cases"], "handle": ["carla", "south-steward"]}
"""Values that lead to something; others are made up."""


def _operations(house: House) -> list[Any]:
    document = house.north.get("/v1/openapi.json", wait=0).json()
    schema = schemathesis.openapi.from_dict(document)
    found = list(schema.get_all_operations())
    assert all(isinstance(one, Ok) for one in found)
    return [one.ok() for one in found if isinstance(one, Ok)]


def _send(who: Caller, case: Any) -> None:
    path = case.formatted_path
    headers = {
        "Cookie": f"{SESSION_COOKIE}={who.session}",
        "Origin": who.origin,
        PAGE_HEADER: page_value(who.session),
        "Idempotency-Key": uuid4().hex,
    }
    body = case.as_transport_kwargs()
    sent = {name: body[name] for name in ("json", "data", "params") if body.get(name) is not None}
    if "data" in sent:
        sent["content"] = sent.pop("data")
    for _ in range(5):
        answer = who.http.request(case.method, path, headers=headers, **sent)
        if answer.status_code != 429 or int(answer.headers["Retry-After"]) > 1:
            break
        time.sleep(1)
    assert answer.status_code < 500 or answer.json()["code"] == "starting", (case.method, path, answer.text)
    if answer.status_code == 202:
        _read(who, answer.headers["Location"], (case.method, path))
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


def _read(who: Caller, place: str, asked: tuple[str, str]) -> None:
    """Wait for what came of a job, and read it."""
    if who.call("GET", place, wait=0).status_code == 403:
        return  # a role that asks and may not look: what the operator may do makes no job
    until = time.monotonic() + 60
    while (found := who.get(place, wait=10)).status_code in (202, 429) and time.monotonic() < until:
        time.sleep(0.1)
    assert found.status_code != 202, asked
    assert found.status_code < 500 or found.json()["code"] in ("starting", "job-interrupted"), (asked, found.text)
    if found.status_code == 200:
        result = who.get(f"{place}/result", wait=0)
        assert result.status_code in (200, 404, 410, 429), (asked, result.text)


def _requests(operation: Any, callers: Iterator[Caller], examples: int) -> Callable[[], None]:
    """Return what makes requests of one operation."""

    @seed(20261123)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), data=st.data())
    def requests(case: Any, data: st.DataObject) -> None:
        for name, values in KNOWN.items():
            if name in (case.path_parameters or {}) and data.draw(st.booleans()):
                case.path_parameters[name] = data.draw(st.sampled_from(values))
        for name, values in REAL.get(case.operation.path, {}).items():
            if isinstance(case.body, dict) and name in case.body and data.draw(st.integers(0, 3)):
                case.body[name] = data.draw(st.sampled_from(values))
        _send(next(callers), case)

    return requests


def _try_all(house: House, roles: list[str], examples: int) -> int:
    operations = [found for found in _operations(house) if (found.method.upper(), found.path) not in SKIPPED]
    callers = itertools.cycle(house.everybody[role] for role in roles)
    for operation in operations:
        _requests(operation, callers, examples)()
    return len(operations)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A service of these tests' own: made-up requests may end members."""
    with served(tmp_path_factory.mktemp("made-up") / "house") as running:
        yield furnish(running, people=60)


def test_no_made_up_request_ends_in_a_fault(own: House) -> None:
    assert _try_all(own, list(own.everybody), examples=2) > 60


@pytest.mark.audit
def test_no_made_up_request_of_any_role_ends_in_a_fault(own: House) -> None:
    for role in own.everybody:
        assert _try_all(own, [role], examples=10) > 60
