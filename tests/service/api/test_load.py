"""The load of the benchmark in its short form: four researchers and one caseworker at once, and nothing fails."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from casehaven.organisations.roles import Role

if TYPE_CHECKING:
    from tests.service.api.conftest import House

SCRIPT = Path(__file__).resolve().parents[3] / "benchmarks" / "service.py"


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("benchmark_of_the_service", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_researchers_and_an_upload_at_once_without_an_error(house: House, script: ModuleType) -> None:
    def token(caller: object, operations: tuple[str, ...]) -> str:
        made = caller.post("/v1/tokens", {"name": "load", "operations": list(operations), "days": 1})  # type: ignore[attr-defined]  # a Caller
        assert made.status_code == 201, made.text
        value: str = made.json()["value"]
        return value

    asker = house.running.member("north", "lou", Role.RESEARCHER)  # what the load spends is of no other test's share
    granted = house.north.call("PUT", "/v1/datasets/north/cases/grants/lou", body={"allowance_nano_rho": 20_000_000})
    assert granted.status_code == 200, granted.text
    askers = [token(asker, script.ASKS) for _ in range(4)]
    senders = [(token(house.south, script.SENDS), "south/cases")]
    address = f"http://127.0.0.1:{house.running.port}"
    load = script.run(address, askers, senders, "north/cases", seconds=5, rows=50)
    assert not load.errors, load.errors
    assert load.slowed == 0
    assert {"quote", "ask", "send", "propose"} <= set(load.took)
    assert set(load.statuses) <= {200, 201, 202}
    page = script.report(load)
    assert "errors: none" in page
    assert page.count("\n| ") >= len(load.took)


def test_every_question_of_the_load_is_another_one(script: ModuleType) -> None:
    found = []
    with pytest.raises(RuntimeError, match="more kinds"):
        for question in script.distinct_questions():
            found.append(repr(question))
    assert len(set(found)) == len(found) > 1_000


def test_a_latency_is_one_that_was_measured(script: ModuleType) -> None:
    ranked = [float(number) for number in range(1, 101)]
    assert [script._at(ranked, part) for part in (0.5, 0.95, 0.99, 1.0)] == [50.0, 95.0, 99.0, 100.0]
    assert [script._at([7.0], part) for part in (0.5, 1.0)] == [7.0, 7.0]
