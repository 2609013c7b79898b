"""Privacy rule 12: a person is in exactly one block of a dataset, for good; what is asked about one year takes nothing from the people of another.

A block is the year in which people were first registered. The tests build small vaults of made-up people, take every single person away again, and compare what can be
counted before and after; and they release one year and look at every account.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from casehaven.blocks import schema_blocks
from casehaven.cli._root import main
from casehaven.vault.snapshots import Tokens, snapshot
from casesynth.model import FitSettings
from casesynth.privacy import PrivacyLoss, Receipt
from casesynth.privacy.mechanisms import add_gaussian_noise

if TYPE_CHECKING:
    from tests.conftest import MakePeople, Record, SafeHouse

RECEIPT = Receipt(charge_id="c1", loss=PrivacyLoss(nano_rho=1))
BLOCKS = ("", "2019", "2020", "2021", "2022", "2023")
YEARS = ("", "2019", "2020", "2021", "2022", "2023", "1850", "soon")
SHORT = FitSettings(classes=10, steps=40, starts=1, pilot_classes=8, pilot_steps=20)


# --- one person, one block ------------------------------------------------------------------------------------------------------


def _world(seed: int) -> dict[str, list[list[Record]]]:
    """Return, for each of two organisations, the files that it takes in one after the other: four tokens, of which some are known to both."""
    draw = random.Random(seed)
    files: dict[str, list[list[Record]]] = {}
    for organisation in ("north", "south"):
        files[organisation] = [
            [
                {
                    "token": f"p{draw.randrange(4)}",
                    "mayRelease": draw.choice(("yes",) * 8 + ("", "no")),
                    "year": draw.choice(YEARS),
                    "gender": draw.choice(("woman", "man", "")),
                    "means": draw.choice(("debt", "threats;debt", "")),
                }
                for _ in range(draw.randrange(3, 7))
            ]
            for _ in range(2)
        ]
    return files


def _blocks_of(files: Sequence[Sequence[Record]]) -> dict[str, str]:
    """Return the block of each token by the rule in its plainest form: the earliest listed year in the first file that names the token."""
    found: dict[str, str] = {}
    for records in files:
        said: dict[str, list[str]] = defaultdict(list)
        for record in records:
            said[record["token"]] += [record["year"]] if record["year"] in BLOCKS[1:] else []
        for token, years in said.items():
            found.setdefault(token, min(years, default=""))
    return found


def _counted(
    house: SafeHouse, world: dict[str, list[list[Record]]], tokens: Tokens
) -> dict[tuple[str, ...], list[bytes]]:
    """Take all files in, and return everybody's profile for every block by itself, for two together and for all."""
    house.add_dataset("cases", "south")
    for organisation, files in world.items():
        for records in files:
            if records:
                house.take_in(records, organisation=organisation)
    vault = house.open()
    both = [vault.dataset("north", "cases"), vault.dataset("south", "cases")]
    named: list[tuple[str, ...]] = [*((block,) for block in BLOCKS), ("2019", "2021"), ()]
    found = {}
    for blocks in named:
        opened = snapshot(vault, both, "synthetic_release", tokens_are=tokens, blocks=blocks or None).open(RECEIPT)
        found[blocks] = sorted(bytes(row) for row in np.stack(opened.columns, axis=1))
    return found


def _changed(first: list[bytes], second: list[bytes]) -> int:
    """Return how many profiles are in the first and not in the second, each as often as it is more."""
    return (Counter(first) - Counter(second)).total()


@pytest.mark.parametrize(("seed", "tokens"), [(1, "shared"), (2, "separate")])
def test_a_person_who_goes_changes_only_what_is_counted_of_the_persons_own_block(
    seed: int, tokens: Tokens, make_house: Callable[[str], SafeHouse]
) -> None:
    """Privacy rule 27, by brute force: everybody is taken away once, with all records in both organisations."""
    world = _world(seed)
    blocks = {organisation: _blocks_of(files) for organisation, files in world.items()}
    whole = _counted(make_house("whole"), world, tokens)
    most = 1 if tokens == "shared" else 2
    changes = 0
    for token in sorted({token for found in blocks.values() for token in found}):
        without = {
            organisation: [[record for record in records if record["token"] != token] for records in files]
            for organisation, files in world.items()
        }
        left = _counted(make_house(f"without-{token}"), without, tokens)
        own = {found[token] for found in blocks.values() if token in found}
        for named in whole:
            gone, come = _changed(whole[named], left[named]), _changed(left[named], whole[named])
            assert (gone <= most) and come == 0, (token, named)
            changes += gone
            if named and not own & set(named):
                assert gone == 0, (token, named)
    assert changes > 3  # somebody consented, and is missed


@pytest.mark.parametrize("seed", [1, 2])
def test_the_blocks_have_everybody_between_them_and_nobody_twice(
    seed: int, make_house: Callable[[str], SafeHouse]
) -> None:
    """Within one organisation; whoever two organisations know is in a block of each."""
    files = _world(seed)["north"]
    counted = _counted(make_house("one"), {"north": files, "south": []}, "shared")
    assert sorted(profile for block in BLOCKS for profile in counted[(block,)]) == counted[()]
    assert schema_blocks(make_house("other").open().dataset("north", "cases").schema) == BLOCKS


# --- one year is released --------------------------------------------------------------------------------------------------------


def _run(house: SafeHouse, *options: str, out: str = "bundle") -> Result:
    folder = house.folder
    if not (folder / "key").exists():
        made = [
            ("keys", "create", "--key", folder / "key"),
            ("ledger", "create", "--ledger", folder / "ledger.sqlite", "--epsilon", "8"),
        ]
        for arguments in made:
            done = CliRunner().invoke(main, [str(argument) for argument in arguments])
            assert done.exit_code == 0, done.output
    places = ("--ledger", folder / "ledger.sqlite", "--key", folder / "key", "--out", folder / out)
    return house.run("release", "--from", "north/cases", "--epsilon", "2", *places, *options)


def _spent(house: SafeHouse) -> dict[str, int]:
    shown = CliRunner().invoke(main, ["ledger", "show", "--json", "--ledger", str(house.folder / "ledger.sqlite")])
    return {row["block"]: row["spent_nano_rho"] for row in json.loads(shown.output)["accounts"]}


def test_a_release_of_one_year_charges_that_year_and_says_so(
    house: SafeHouse, people: MakePeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("casesynth.synthesis.FitSettings", lambda: SHORT)
    house.take_in(people(100))
    first = _run(house, "--registered", "2021", "--open-accounts")
    assert first.exit_code == 0, first.output
    spent = _spent(house)
    assert set(spent) == set(BLOCKS)
    assert spent["2021"] > 0
    assert {block for block, amount in spent.items() if amount} == {"2021"}
    manifest = json.loads((house.folder / "bundle" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["facts"]["guarantee"]["registered"] == ["2021"]
    said = "Only people who were first registered in 2021 were counted, and only their budget was charged."
    for name in ("report.html", "datasheet.md"):
        assert said in re.sub(r"\s+", " ", (house.folder / "bundle" / name).read_text(encoding="utf-8"))
    assert "first registered in 2021" in first.output
    second = _run(house, "--registered", "2022", "--registered", "unknown", out="later")
    assert second.exit_code == 0, second.output
    after = _spent(house)
    assert (after["2021"], after["2022"], after[""]) == (spent["2021"],) * 3
    third = _run(house, out="everybody")
    assert third.exit_code == 0, third.output
    assert _spent(house) == {block: amount + spent["2021"] for block, amount in after.items()}
    manifest = json.loads((house.folder / "everybody" / "manifest.json").read_text(encoding="utf-8"))
    assert "registered" not in manifest["facts"]["guarantee"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--registered", "2018"), "2019 to 2023, and unknown"),
        (("--registered", "2021", "--registered", ""), "write a year, or `unknown`"),
    ],
)
def test_a_year_that_the_schema_does_not_list_costs_nothing(
    house: SafeHouse, people: MakePeople, options: tuple[str, ...], said: str
) -> None:
    house.take_in(people(10))
    refused = _run(house, *options, "--open-accounts")
    assert refused.exit_code != 0
    assert said in refused.output
    assert _spent(house) == {}


def test_case_files_have_no_fixed_years_and_cannot_be_released_by_them(house: SafeHouse, tmp_path: Path) -> None:
    _run(house)  # makes key and ledger
    file = tmp_path / "north.csv"
    file.write_text("token,mayRelease,year,gender,age,means,notes\np,yes,2021,woman,20,,\n", encoding="utf-8")
    schema = house.folder / "house.json"
    schema.write_bytes(house.open().dataset("north", "cases").schema.canonical())
    options = ("--schema", schema, "--people-cap", "10", "--organisation", "north", "--epsilon", "2", "--open-accounts")
    places = ("--ledger", house.folder / "ledger.sqlite", "--key", house.folder / "key", "--out", tmp_path / "out")
    arguments = ["release", file, *options, *places, "--registered", "2021"]
    refused = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert refused.exit_code != 0
    assert "for case files nobody does" in refused.output


# --- nothing but the noise -------------------------------------------------------------------------------------------------------


def _observed(house: SafeHouse, result: Result) -> dict[str, object]:
    bundle = house.folder / "bundle"
    seen: dict[str, object] = {
        path.name: path.read_bytes() for path in bundle.iterdir() if path.name not in ("manifest.json", "manifest.sig")
    }
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    manifest["facts"]["charge"] = "the random name of the charge"
    seen["manifest"] = manifest
    seen["screen"] = re.sub(
        r"^(time|request) .*$", "", result.output.replace(str(house.folder), "F"), flags=re.MULTILINE
    )
    seen["ledger"] = _spent(house)
    return seen


NEW = {"mayRelease": "yes", "gender": "man", "age": "99", "means": "threats;debt;papers;hours"}


@pytest.mark.parametrize(
    ("person", "before_the_noise"),
    [
        ([{**NEW, "token": "x", "year": "2021"}], "differs"),
        ([{**NEW, "token": "x", "year": "2022"}], "same"),
        ([{**NEW, "token": "x", "year": "1850"}], "same"),
        ([{**NEW, "token": "x", "year": "2022"}, {**NEW, "token": "x", "year": "2021"}], "differs"),
        ([{**NEW, "token": "p00003", "year": "2021"}], "same"),
    ],
    ids=["in the year", "in another year", "in no year", "the earliest of two years", "known in another year"],
)
def test_nothing_but_the_noise_tells_of_a_person_and_of_another_years_person_not_even_the_counts(
    person: list[Record],
    before_the_noise: str,
    people: MakePeople,
    make_house: Callable[[str], SafeHouse],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Privacy rule 28 for a release of 2021: recorded without the person, replayed with the person, who comes in a file of their own.

    The last one is known from 2022: a later record that says 2021 takes them into no release of 2021.
    """
    monkeypatch.setattr("casesynth.synthesis.FitSettings", lambda: SHORT)
    tape: list[NDArray[np.int64]] = []
    exact: list[list[bytes]] = []

    def record(counts: NDArray[np.int64], *, nano_rho: int, people_cap: int) -> NDArray[np.int64]:
        exact[-1].append(counts.tobytes())
        tape.append(add_gaussian_noise(counts, nano_rho=nano_rho, people_cap=people_cap))
        return tape[-1]

    def replay(counts: NDArray[np.int64], *, nano_rho: int, people_cap: int) -> NDArray[np.int64]:
        add_gaussian_noise(counts, nano_rho=nano_rho, people_cap=people_cap)  # its refusals count too
        exact[-1].append(counts.tobytes())
        return next(frozen)

    seen = []
    frozen = iter(tape)
    for name, files, noise in (("one", [people(60)], record), ("two", [people(60), person], replay)):
        monkeypatch.setattr("casesynth.measure.add_gaussian_noise", noise)
        exact.append([])
        house = make_house(name)
        for records in files:
            house.take_in(records)
        released = _run(house, "--registered", "2021", "--open-accounts")
        assert released.exit_code == 0, released.output
        seen.append(_observed(house, released))
    assert next(frozen, None) is None, "fewer mechanisms ran on the neighbour"
    assert (exact[0] == exact[1]) == (before_the_noise == "same")
    for name in seen[0]:
        assert seen[0][name] == seen[1][name], f"{name} tells the neighbours apart"
