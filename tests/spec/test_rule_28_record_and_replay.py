"""Privacy rule 28: whatever depends on a person goes through the noise.

A release is run on some records while every noisy table is written down. Then it is run on neighbouring records, and the noise module
hands out the very same noisy tables again. If one byte of the bundle, of the screen or of the ledger differs after that, it came to
the outside by another way than the noise: a leak.

The noise module is replaced here, in the test alone; production code has no way to replace it. The model is fitted less hard than usual, a
public constant, so that many kinds of neighbours fit into a minute; one kind runs as in production.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from numpy.typing import NDArray
from tests.conftest import HEADER, SCHEMA

from casesynth.codes import Codes
from casesynth.counting import count_signed
from casesynth.marginals import Marginal
from casesynth.model import FitSettings
from casesynth.privacy.mechanisms import add_gaussian_noise
from casesynth.sample import sample_records

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Record, Shelter

KEY = "replay-request-1"
SHORT = FitSettings(classes=20, steps=60, starts=1, pilot_classes=15, pilot_steps=30)
AS_IN_PRODUCTION = "an outlier"
DERIVED_CELL = "a cell of a derived column"
NOT_READ = ("a person without consent", DERIVED_CELL)
KINDS = (
    "an outlier",
    "a new category",
    "nothing but nulls",
    "a known id again",
    "an empty dataset",
    "most contributions",
    "a person without consent",
)


@dataclass(frozen=True, kw_only=True)
class _World:
    """Case files before and after one person came or went, and how they are released."""

    before: Mapping[str, Sequence[Record]]
    """Records of each file."""
    after: Mapping[str, Sequence[Record]]
    options: tuple[str, ...] = ()
    derived: bool = False
    """Whether the schema has an attribute that follows from another one, and files have a column of its name."""


ADULT = {
    "name": "adult",
    "kind": "category",
    "role": "analysis",
    "labels": {"en": "Minor or adult"},
    "values": [{"code": "minor", "labels": {"en": "Minor"}}, {"code": "adult", "labels": {"en": "Adult"}}],
    "missing": ["blank"],
    "merge": "agree",
    "derived": {"from": "age", "recode": {"0-17": "minor", "18-29": "adult", "30+": "adult"}},
}
"""Follows from the age; its cells are never read."""


def _numbered(records: Sequence[Record]) -> list[Record]:
    """An organisation's own numbers as person tokens, from 1."""
    return [{**record, "token": str(1 + place)} for place, record in enumerate(records)]


def _both_know(people: MakePeople) -> _World:
    """A person comes whom both organisations know, by the same token, with records that differ."""
    north, south = people(150), people(150, start=140)
    new: Record = {"token": "x", "mayRelease": "yes", "year": "2020", "gender": "woman", "means": "threats"}
    after = {"north.csv": [*north, new], "south.csv": [{**new, "gender": "man", "age": "40", "means": "debt"}, *south]}
    return _World(before={"north.csv": north, "south.csv": south}, after=after, options=("--person-tokens", "shared"))


def _two_tokens(people: MakePeople) -> _World:
    """A person goes whom each organisation knows by a number of its own, with every record under either."""
    north, south = (_numbered(records) for records in (people(150), people(150, start=140)))
    before = {"north.csv": [*north, {**north[7], "age": "3"}], "south.csv": south}
    after = {
        "north.csv": [record for record in before["north.csv"] if record["token"] != "8"],
        "south.csv": [record for record in south if record["token"] != "77"],
    }
    return _World(before=before, after=after, options=("--person-tokens", "separate"))


def _parquet(people: MakePeople) -> _World:
    """An outlier comes into a Parquet file."""
    base = people(300)
    new: Record = {"token": "x", "mayRelease": "yes", "year": "1850", "age": "99", "means": "threats;rare;hours"}
    return _World(before={"north.parquet": base}, after={"north.parquet": [*base, new]})


def _one_row_more(people: MakePeople) -> _World:
    """One row comes where one row is one person; its token is one that is there."""
    base = people(300)
    after = {"north.csv": [*base, {**base[7], "gender": "man"}]}
    return _World(before={"north.csv": base}, after=after, options=("--row-is-person",))


def _derived(people: MakePeople) -> _World:
    """A person comes whose cell of a derived column contradicts the table, with a value of no list."""
    base: list[Record] = [{**record, "adult": "adult"} for record in people(300)]
    new: Record = {"token": "x", "mayRelease": "yes", "year": "2020", "age": "3", "adult": "nobody has this"}
    return _World(before={"cases.csv": base}, after={"cases.csv": [*base, new]}, derived=True)


def _derived_cell(people: MakePeople) -> _World:
    """The same people; one cell of the derived column says something else."""
    base: list[Record] = [{**record, "adult": "adult"} for record in people(300)]
    after = [*base[:7], {**base[7], "adult": "nobody has this"}, *base[8:]]
    return _World(before={"cases.csv": base}, after={"cases.csv": after}, derived=True)


def _cap_reached(people: MakePeople) -> _World:
    """The person who comes is the last whom the cap allows."""
    after = {"north.csv": people(300)}
    return _World(before={"north.csv": people(299)}, after=after, options=("--people-cap", "300"))


WORLDS: dict[str, Callable[[MakePeople], _World]] = {
    "known to both organisations by one token": _both_know,
    "known to each organisation by a number of its own": _two_tokens,
    "a Parquet file": _parquet,
    "one row more where a row is a person": _one_row_more,
    "people_cap exactly reached": _cap_reached,
    "a derived column that contradicts its table": _derived,
    DERIVED_CELL: _derived_cell,
}


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


def _world(kind: str, people: MakePeople) -> _World:
    if kind in WORLDS:
        return WORLDS[kind](people)
    first, second = _neighbours(kind, people)
    return _World(before={"cases.csv": first}, after={"cases.csv": second})


def _written(shelter: Shelter, name: str, records: Sequence[Record]) -> Path:
    path = shelter.write(
        name, records, list(dict.fromkeys([*HEADER, *(name for record in records for name in record)]))
    )
    if path.suffix == ".parquet":
        names = dict.fromkeys(name for record in records for name in record)
        pq.write_table(pa.table({name: [record.get(name) for record in records] for name in names}), path)
    return path


def _run(shelter: Shelter, files: Mapping[str, Sequence[Record]], options: Sequence[str] = ()) -> Result:
    paths = [_written(shelter, name, records) for name, records in files.items()]
    return shelter.release(*paths, extra=("--epsilon", "2", "--idempotency-key", KEY, *options))


def _with_schema(shelter: Shelter, world: _World) -> Shelter:
    """Give the shelter the world's schema."""
    if world.derived:
        document = {**SCHEMA, "attributes": [*SCHEMA["attributes"], ADULT]}
        (shelter.folder / "shelter.json").write_text(json.dumps(document), encoding="utf-8")
    return shelter


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


@pytest.mark.parametrize("kind", [*KINDS, *WORLDS])
def test_nothing_but_the_noise_tells_neighbours_apart(
    kind: str, people: MakePeople, make_shelter: Callable[[str], Shelter], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = _world(kind, people)
    if kind != AS_IN_PRODUCTION:
        monkeypatch.setattr("casesynth.synthesis.FitSettings", lambda: SHORT)
    tape: list[NDArray[np.int64]] = []
    exact: list[bytes] = []
    exact_after: list[bytes] = []

    def record(counts: NDArray[np.int64], *, nano_rho: int, people_cap: int) -> NDArray[np.int64]:
        exact.append(counts.tobytes())
        tape.append(add_gaussian_noise(counts, nano_rho=nano_rho, people_cap=people_cap))
        return tape[-1]

    monkeypatch.setattr("casesynth.measure.add_gaussian_noise", record)
    one = _with_schema(make_shelter("one"), world)
    played = _run(one, world.before, world.options)
    assert played.exit_code == 0, played.output
    frozen = iter(tape.copy())

    def replay(counts: NDArray[np.int64], *, nano_rho: int, people_cap: int) -> NDArray[np.int64]:
        add_gaussian_noise(counts, nano_rho=nano_rho, people_cap=people_cap)  # its refusals count too
        exact_after.append(counts.tobytes())
        noisy = next(frozen)
        assert noisy.shape == counts.shape
        return noisy

    monkeypatch.setattr("casesynth.measure.add_gaussian_noise", replay)
    two = _with_schema(make_shelter("two"), world)
    replayed = _run(two, world.after, world.options)
    assert replayed.exit_code == 0, replayed.output
    assert next(frozen, None) is None, "fewer mechanisms ran on the neighbour"
    assert (exact == exact_after) == (kind in NOT_READ), "the neighbours must differ before the noise"
    seen_one, seen_two = _observed(one, played), _observed(two, replayed)
    assert seen_one.keys() == seen_two.keys()
    assert (b"adult" in (one.folder / "bundle" / "synthetic.csv").read_bytes().splitlines()[0]) == world.derived
    for name in seen_one:
        assert seen_one[name] == seen_two[name], f"{name} tells the neighbours apart"


def test_a_planted_leak_is_caught(
    people: MakePeople, make_shelter: Callable[[str], Shelter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison above has power: a number of rows that does not go through the noise makes it fail."""
    monkeypatch.setattr("casesynth.synthesis.FitSettings", lambda: SHORT)
    monkeypatch.setattr("casesynth.measure.add_gaussian_noise", lambda counts, **_: np.zeros_like(counts) + counts.size)
    honest = sample_records
    leaked: list[int] = []

    def leaking_count(batches: Iterable[tuple[Codes, ...]], *arguments: Any, **options: Any) -> list[Marginal]:
        listed = list(batches)
        leaked.append(sum(len(batch[0]) for batch in listed))
        return count_signed(listed, *arguments, **options)

    def leaking_records(*arguments: Any, **options: Any) -> tuple[Codes, ...]:
        return tuple(column[: leaked[-1]] for column in honest(*arguments, **options))

    monkeypatch.setattr("casesynth.measure.count_signed", leaking_count)
    monkeypatch.setattr("casesynth.synthesis.sample_records", leaking_records)
    seen = []
    for name, number in (("one", 5), ("two", 6)):
        shelter = make_shelter(name)
        result = _run(shelter, {"cases.csv": people(number)})
        assert result.exit_code == 0, result.output
        seen.append(_observed(shelter, result))
    assert seen[0]["synthetic.csv"] != seen[1]["synthetic.csv"]


def test_bundle_has_no_folder_or_file_that_a_record_names(shelter: Shelter, people: MakePeople) -> None:
    result = _run(
        shelter, {"cases.csv": [*people(20), {"token": "x", "mayRelease": "yes", "gender": "canary-value-73"}]}
    )
    assert result.exit_code == 0, result.output
    paths: list[Path] = [*shelter.folder.rglob("*")]
    assert not any("canary" in path.name for path in paths)
    written = [path for path in paths if path.is_file() and path.name != "cases.csv"]
    assert written
    assert not any(b"canary-value-73" in path.read_bytes() for path in written)
