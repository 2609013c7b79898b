"""Privacy rule 28 for questions: whatever depends on a person goes through the noise.

Questions are quoted and asked on some records while every noisy table is written down. Then they are asked on neighbouring records, and the noise module hands out
the very same noisy tables again. If one byte of the answers, of the screen or of the ledger differs after that, it came to the outside by another way
than the noise: a leak.

The noise module is replaced here, in the test alone; production code has no way to replace it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from casehaven.cli import main
from casehaven.ledger import BudgetExhaustedError, BudgetPolicy, IdempotencyKey, Ledger, LedgerPolicy
from casehaven.queries import Queries
from casesynth.privacy.mechanisms import add_gaussian_noise

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Record, SafeHouse

KINDS = (
    "an outlier",
    "a new category",
    "nothing but nulls",
    "a known id again",
    "an empty dataset",
    "most contributions",
)
ASKED: tuple[dict[str, Any], ...] = (
    {"by": ["gender", "age"], "totals": True, "accuracy": {"within_people": 20}},
    {
        "by": ["means"],
        "show": "percentages",
        "where": {"attribute": "year", "in": ["2019", "2020"]},
        "accuracy": {"epsilon": 0.7},
    },
    {"by": ["gender"], "show": {"median": "age"}, "accuracy": {"within_people": 15}},
    {"by": ["year"], "show": {"changes": "year"}, "accuracy": {"within_people": 15}},
    {"by": ["means"], "count": {"records": {"at_most": 3}}, "accuracy": {"within_people": 40}},
    {"by": ["gender"], "accuracy": {"within_people": 60}},
    {"by": ["gender"], "registered": ["2019", "2023"], "accuracy": {"within_people": 15}},
    {"by": ["year"], "totals": True, "count": {"records": {"at_most": 2}}, "accuracy": {"within_people": 30}},
)
TYPED = ("--by", "gender", "--by", "year", "--within", "30")
YES = dict.fromkeys(("mayRelease", "mayCare", "mayCount", "mayPool"), "yes")


def _neighbours(kind: str, people: MakePeople) -> tuple[list[Record], list[Record]]:
    """Return records, and the records with one person more or less."""
    base: list[Record] = [{**record, **YES} for record in people(200)]
    if kind == "an empty dataset":
        return base[:1], []
    person: dict[str, list[Record]] = {
        "an outlier": [{"token": "x", **YES, "year": "2023", "age": "99", "means": "threats;debt;papers;hours"}],
        "a new category": [{"token": "x", **YES, "gender": "nobody has this", "means": "rare"}],
        "nothing but nulls": [{"token": "x", **YES}],
        "a known id again": [{**base[7], "gender": "man", "age": "3"}],
        "most contributions": [
            {"token": "x", **YES, "year": "2019", "gender": "woman", "means": "debt", "age": str(i % 60)}
            for i in range(300)
        ],
    }
    return base, [*base, *person[kind]]


def _observed(house: SafeHouse, records: Sequence[Record], questions: Sequence[dict[str, Any]] = ASKED) -> list[str]:
    """Take the records in, ask everything, and return all that is shown and stored, without clocks and random names."""
    house.take_in(records)
    ledger = Ledger.create(house.folder / "ledger.sqlite", LedgerPolicy(account=BudgetPolicy.of("50", "1e-6")))
    ledger.open_dataset("north/cases", ["", *(str(year) for year in range(2019, 2024))])
    vault = house.open()
    datasets = [vault.dataset("north", "cases")]
    queries = Queries(vault=vault, ledger=ledger, datasets=datasets, clock=lambda: 1_700_000_000)
    seen = []
    for number, document in enumerate(questions):
        question = queries.parse(document)
        quote = queries.quote(question)
        answer = queries.ask(question, IdempotencyKey(text=f"replayed-{number}"))
        seen += [repr(quote), json.dumps(answer.answer), repr((answer.charged, answer.free))]
    with pytest.raises(BudgetExhaustedError) as refused:
        queries.ask(queries.parse({"by": ["means"], "accuracy": {"epsilon": 90}}), IdempotencyKey(text="too-dear"))
    seen += [str(refused.value), *(stored.document for stored in queries.answers())]
    typed = house.run("ask", *TYPED, "--from", "north/cases", "--ledger", ledger.path)
    assert typed.exit_code == 0, typed.output
    shown = CliRunner().invoke(main, ["ledger", "show", "--json", "--ledger", str(ledger.path)])
    assert shown.exit_code == 0, shown.output
    texts = [*seen, typed.output, shown.output]
    return [re.sub(r"\b[0-9a-f]{32}\b|\d{4}-\d\d-\d\d(T[^\"]*)?", "X", text) for text in texts]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_but_the_noise_tells_neighbours_apart(
    kind: str, people: MakePeople, make_house: Callable[[str], SafeHouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    before, after = _neighbours(kind, people)
    tape: list[NDArray[np.int64]] = []
    exact: list[bytes] = []
    exact_after: list[bytes] = []

    def record(counts: NDArray[np.int64], *, nano_rho: int, people_cap: int) -> NDArray[np.int64]:
        exact.append(counts.tobytes())
        tape.append(add_gaussian_noise(counts, nano_rho=nano_rho, people_cap=people_cap))
        return tape[-1]

    monkeypatch.setattr("casesynth.answers.counted.add_gaussian_noise", record)
    one = _observed(make_house("one"), before)
    frozen = iter(tape.copy())

    def replay(counts: NDArray[np.int64], *, nano_rho: int, people_cap: int) -> NDArray[np.int64]:
        add_gaussian_noise(counts, nano_rho=nano_rho, people_cap=people_cap)  # its refusals count too
        exact_after.append(counts.tobytes())
        noisy = next(frozen)
        assert noisy.shape == counts.shape
        return noisy

    monkeypatch.setattr("casesynth.answers.counted.add_gaussian_noise", replay)
    other = _observed(make_house("other"), after)
    assert other == one
    assert next(frozen, None) is None
    assert len(exact) == len(exact_after) > 0
    if kind != "a known id again":
        assert exact != exact_after  # the worlds do differ


def test_a_planted_leak_is_caught(
    people: MakePeople, make_house: Callable[[str], SafeHouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check has power: where cells of nobody are treated in another way, whoever comes into one is seen under frozen noise."""
    before, after = _neighbours("an outlier", people)
    tape: list[NDArray[np.int64]] = []

    def leaky(counts: NDArray[np.int64], *, nano_rho: int, people_cap: int) -> NDArray[np.int64]:
        tape.append(add_gaussian_noise(counts, nano_rho=nano_rho, people_cap=people_cap))
        return np.where(counts == 0, 500, tape[-1])

    monkeypatch.setattr("casesynth.answers.counted.add_gaussian_noise", leaky)
    one = _observed(make_house("one"), before, ASKED[:1])
    frozen = iter(tape.copy())

    def replay(counts: NDArray[np.int64], *, nano_rho: int, people_cap: int) -> NDArray[np.int64]:
        return np.where(counts == 0, 500, next(frozen))

    monkeypatch.setattr("casesynth.answers.counted.add_gaussian_noise", replay)
    assert _observed(make_house("other"), after, ASKED[:1]) != one
