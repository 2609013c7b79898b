"""Privacy rule 28: whatever depends on a person goes through the noise.

A release is run on some records while every noisy table is written down. Then it is run on neighbouring records, and the noise module
hands out the very same noisy tables again. If one byte of the bundle, of the screen or of the ledger differs after that, it came to
the outside by another way than the noise: a leak.

The noise module is the one thing that is replaced here, in the test alone; production code has no way to replace it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import Result
from numpy.typing import NDArray

from casesynth.counting import count
from casesynth.encode import Codes
from casesynth.marginals import Marginal
from casesynth.privacy.mechanisms import add_gaussian_noise
from casesynth.sample import sample_records

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Record, Shelter

KEY = "replay-request-1"
KINDS = (
    "an outlier",
    "a new category",
    "nothing but nulls",
    "a known id again",
    "an empty dataset",
    "most contributions",
    "a person without consent",
)


def _neighbours(kind: str, people: MakePeople) -> tuple[list[Record], list[Record]]:
    """Return records, and the records with one person more or less."""
    base = people(300)
    if kind == "an empty dataset":
        return people(1), []
    person: dict[str, list[Record]] = {
        "an outlier": [
            {"token": "x", "mayRelease": "yes", "year": "2023", "age": "99", "means": "threats;debt;papers;hours"}
        ],
        "a new category": [{"token": "x", "mayRelease": "yes", "gender": "nobody has this", "means": "rare"}],
        "nothing but nulls": [{"token": "x", "mayRelease": "yes"}],
        "a known id again": [{**base[7], "gender": "man", "age": "3"}],
        "most contributions": [
            {"token": "x", "mayRelease": "yes", "year": "2019", "gender": "woman", "means": "debt", "age": str(i % 60)}
            for i in range(1000)
        ],
        "a person without consent": [{**people(1, start=900)[0], "mayRelease": "no"}],
    }
    return base, [*base, *person[kind]]


def _run(shelter: Shelter, records: Sequence[Record]) -> Result:
    return shelter.release(shelter.write("cases.csv", records), extra=("--epsilon", "2", "--idempotency-key", KEY))


def _observed(shelter: Shelter, result: Result) -> dict[str, bytes | str | object]:
    """Return all that leaves the steward's hands, without clocks and random names."""
    bundle = shelter.folder / "bundle"
    seen: dict[str, bytes | str | object] = {
        path.name: path.read_bytes() for path in bundle.iterdir() if path.name not in ("manifest.json", "manifest.sig")
    }
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    manifest["facts"]["charge"] = "the random name of the charge"
    seen["manifest"] = manifest
    text = re.sub(r"^time .*$", "time", result.output.replace(str(shelter.folder), "FOLDER"), flags=re.MULTILINE)
    seen["screen"] = text
    ledger = shelter.run("ledger", "show", "--json", "--ledger", shelter.folder / "ledger.sqlite")
    seen["ledger"] = re.sub(
        r"\b[0-9a-f]{32}\b|\d{4}-\d\d-\d\dT[^\"]*", "X", ledger.output.replace(str(shelter.folder), "F")
    )
    return seen


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_but_the_noise_tells_neighbours_apart(
    kind: str, people: MakePeople, make_shelter: Callable[[str], Shelter], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = _neighbours(kind, people)
    tape: list[NDArray[np.int64]] = []

    def record(counts: NDArray[np.int64], *, nano_rho: int, people_cap: int) -> NDArray[np.int64]:
        tape.append(add_gaussian_noise(counts, nano_rho=nano_rho, people_cap=people_cap))
        return tape[-1]

    monkeypatch.setattr("casesynth.measure.add_gaussian_noise", record)
    one = make_shelter("one")
    played = _run(one, first)
    assert played.exit_code == 0, played.output
    frozen = iter(tape.copy())

    def replay(counts: NDArray[np.int64], *, nano_rho: int, people_cap: int) -> NDArray[np.int64]:
        add_gaussian_noise(counts, nano_rho=nano_rho, people_cap=people_cap)  # its refusals count too
        noisy = next(frozen)
        assert noisy.shape == counts.shape
        return noisy

    monkeypatch.setattr("casesynth.measure.add_gaussian_noise", replay)
    two = make_shelter("two")
    replayed = _run(two, second)
    assert replayed.exit_code == 0, replayed.output
    assert next(frozen, None) is None, "fewer mechanisms ran on the neighbour"
    seen_one, seen_two = _observed(one, played), _observed(two, replayed)
    assert seen_one.keys() == seen_two.keys()
    for name in seen_one:
        assert seen_one[name] == seen_two[name], f"{name} tells the neighbours apart"


def test_a_planted_leak_is_caught(
    people: MakePeople, make_shelter: Callable[[str], Shelter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison above has power: a number of rows that does not go through the noise makes it fail."""
    monkeypatch.setattr("casesynth.measure.add_gaussian_noise", lambda counts, **_: np.zeros_like(counts) + counts.size)
    honest = sample_records
    leaked: list[int] = []

    def leaking_count(batches: Iterable[tuple[Codes, ...]], *arguments: Any, **options: Any) -> list[Marginal]:
        listed = list(batches)
        leaked.append(sum(len(batch[0]) for batch in listed))
        return count(listed, *arguments, **options)

    def leaking_records(*arguments: Any, **options: Any) -> tuple[Codes, ...]:
        return tuple(column[: leaked[-1]] for column in honest(*arguments, **options))

    monkeypatch.setattr("casesynth.measure.count", leaking_count)
    monkeypatch.setattr("casesynth.synthesis.sample_records", leaking_records)
    seen = []
    for name, number in (("one", 5), ("two", 6)):
        shelter = make_shelter(name)
        result = _run(shelter, people(number))
        assert result.exit_code == 0, result.output
        seen.append(_observed(shelter, result))
    assert seen[0]["synthetic.csv"] != seen[1]["synthetic.csv"]


def test_bundle_has_no_folder_or_file_that_a_record_names(shelter: Shelter, people: MakePeople) -> None:
    result = _run(shelter, [*people(20), {"token": "x", "mayRelease": "yes", "gender": "canary-value-73"}])
    assert result.exit_code == 0, result.output
    paths: list[Path] = [*shelter.folder.rglob("*")]
    assert not any("canary" in path.name for path in paths)
    written = [path for path in paths if path.is_file() and path.name != "cases.csv"]
    assert written
    assert not any(b"canary-value-73" in path.read_bytes() for path in written)
