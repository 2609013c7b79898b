"""Privacy rule 34: a k-synthetic file needs two people, ends the dataset's account for good, and says aloud what it is.

Such a file is not differentially private. It is made for the few places that need it all the same, and everything about it is built so that nobody
makes one by accident, alone, or of people whom several organisations share; and so that nobody who gets one takes it for a protected release.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import Result

from casehaven.ledger import Ledger
from casehaven.releases.k_mode import make_k_synthetic_of_files
from casehaven.releases.k_mode_bundle import STEM
from casehaven.releases.k_mode_request import Approval, KRequest
from caseschemas import load_schema
from casesynth.kanonymity import ATTACKS, WARNING
from casesynth.manifest import parse_manifest, sign_manifest, write_manifest
from casesynth.signing import SigningKey, TrustStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import MakePeople, Record, SafeHouse, Shelter

SOURCES = Path(__file__).resolve().parents[2] / "platform" / "casehaven"
STEWARDS = ("Amal", "Berta")


class Office:
    """Two stewards with a key each, who trust each other, in a shelter's folder."""

    def __init__(self, shelter: Shelter, stewards: tuple[str, ...] = STEWARDS) -> None:
        self.shelter = shelter
        self.folder = shelter.folder
        for name in stewards:
            self.ok("keys", "create", "--key", self.key(name))
            self.trust(name)

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def trust(self, name: str) -> None:
        shown = dict(line.split(maxsplit=1) for line in self.shown_key(name) if not line.startswith("public"))
        public = next(line.split()[-1] for line in self.shown_key(name) if line.startswith("public"))
        self.ok("keys", "trust", "add", "--trust", self.store, name, public, "--fingerprint", shown["fingerprint"])

    def shown_key(self, name: str) -> list[str]:
        return self.ok("keys", "show", "--key", self.key(name)).output.splitlines()

    @property
    def store(self) -> Path:
        return self.folder / "trust.json"

    @property
    def ledger(self) -> tuple[str | Path, ...]:
        return ("--ledger", self.folder / "ledger.sqlite")

    def ok(self, *arguments: str | Path) -> Result:
        result = self.shelter.run(*arguments)
        assert result.exit_code == 0, result.output
        return result

    def request(self, name: str = "request.json", *extra: str | Path, source: str = "a register") -> Path:
        path = self.folder / name
        fixed = (
            "--dataset",
            "north/shelter",
            "--source",
            source,
            "--schema",
            self.folder / "shelter.json",
            "--people-cap",
            "10000",
        )
        why = ("--reason", "a partner without a computer reads it on paper")
        self.ok("k-release", "request", *fixed, *why, *self.ledger, "-o", path, *extra)
        return path

    def approve(self, request: Path, steward: str) -> Path:
        path = self.folder / f"{request.stem}-{steward}.json"
        self.ok("k-release", "approve", request, "--yes", "--key", self.key(steward), "-o", path)
        return path

    def make(self, files: list[Path], approvals: list[Path], *, out: str = "k", extra: tuple[str, ...] = ()) -> Result:
        named: list[str | Path] = [part for approval in approvals for part in ("--approval", approval)]
        fixed: list[str | Path] = [
            "--schema",
            self.folder / "shelter.json",
            "--out",
            self.folder / out,
            "--key",
            self.key("Amal"),
        ]
        return self.shelter.run(
            "k-release", "make", *files, *fixed, *named, *self.ledger, "--trust", self.store, "--open-accounts", *extra
        )

    def made(self, records: list[Record], *extra: str | Path) -> Path:
        """Go the whole way and return the bundle."""
        request = self.request("request.json", *extra)
        approvals = [self.approve(request, steward) for steward in STEWARDS]
        result = self.make([self.shelter.write("north.csv", records)], approvals)
        assert result.exit_code == 0, result.output
        return self.folder / "k"

    def marked(self) -> set[str]:
        rows = Ledger.open(self.folder / "ledger.sqlite").statement().rows
        return {row.dataset for row in rows if row.unbounded_since is not None}


@pytest.fixture
def office(shelter: Shelter) -> Office:
    return Office(shelter)


def _rows(bundle: Path) -> list[dict[str, str]]:
    with (bundle / f"{STEM}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_whole_way_and_what_the_file_promises(office: Office, people: MakePeople) -> None:
    records = people(237)
    bundle = office.made(records)
    made = _rows(bundle)
    assert sorted(path.name for path in bundle.iterdir()) == sorted(
        [f"{STEM}.csv", f"{STEM}.parquet", "approvals.json", "datasheet.md", "manifest.json", "manifest.sig"]
    )

    def said(row: Record) -> dict[str, object]:
        bands = {"15": "0-17", "22": "18-29", "40": "30+"}
        age = bands.get(row["age"], row["age"])
        return {
            "year": row["year"],
            "gender": row["gender"],
            "age": age,
            **{m: "1" for m in row["means"].split(";") if m},
        }

    real = [said(record) for record in records]
    for record in made:
        stated = {name: value for name, value in said(record).items() if value}
        assert sum(stated.items() <= person.items() for person in real) >= 10
    source, given = (
        Counter(item for row in rows for item in row.items() if item[1]) for rows in (real, map(said, made))
    )
    assert given == Counter({item: number // 10 * 10 for item, number in source.items() if number >= 10})


def test_one_person_is_not_enough(office: Office, people: MakePeople) -> None:
    request = office.request()
    cases = office.shelter.write("north.csv", people(50))
    one = office.approve(request, "Amal")
    for approvals in ([one], [one, one]):
        refused = office.make([cases], approvals)
        assert refused.exit_code == 1
        assert "2 people" in refused.output
    assert office.marked() == set()
    assert not (office.folder / "k").exists()


def test_two_keys_of_one_person_are_not_enough(shelter: Shelter, people: MakePeople) -> None:
    """A second key that nobody compared with a second person is in no trust store, so it approves nothing."""
    office = Office(shelter, ("Amal",))
    office.ok("keys", "create", "--key", office.key("Amal again"))
    request = office.request()
    approvals = [office.approve(request, name) for name in ("Amal", "Amal again")]
    refused = office.make([shelter.write("north.csv", people(50))], approvals)
    assert refused.exit_code == 1 and "not in the trust store" in refused.output
    assert office.marked() == set()


def test_two_people_who_approved_different_requests_approved_neither(office: Office, people: MakePeople) -> None:
    approvals = [office.approve(office.request(f"{name}.json"), name) for name in STEWARDS]
    refused = office.make([office.shelter.write("north.csv", people(50))], approvals)
    assert refused.exit_code == 1 and "one and the same request" in refused.output
    assert office.marked() == set()


def test_what_was_approved_cannot_be_changed_afterwards(office: Office, people: MakePeople) -> None:
    request = office.request("request.json", "--k", "20")
    approvals = [office.approve(request, steward) for steward in STEWARDS]
    for path in approvals:
        document = json.loads(path.read_text(encoding="utf-8"))
        document["request"]["k"] = 10
        path.write_text(json.dumps(document), encoding="utf-8")
    refused = office.make([office.shelter.write("north.csv", people(50))], approvals)
    assert refused.exit_code == 1 and "does not fit its request" in refused.output
    assert office.marked() == set()


def test_k_below_ten_cannot_be_asked_for(office: Office) -> None:
    fixed = (
        "--dataset",
        "north/shelter",
        "--source",
        "a register",
        "--schema",
        office.folder / "shelter.json",
        "--people-cap",
        "100",
        "--reason",
        "r",
    )
    refused = office.shelter.run(
        "k-release", "request", *fixed, "--k", "9", *office.ledger, "-o", office.folder / "r.json"
    )
    assert refused.exit_code == 1 and "k must be at least 10" in refused.output


def test_the_dataset_is_unbounded_for_good_and_no_protected_release_follows(office: Office, people: MakePeople) -> None:
    shelter = office.shelter
    records = people(60)
    office.made(records)
    assert office.marked() == {"north/shelter"}
    shown = office.ok("ledger", "show", *office.ledger).output
    assert "UNBOUNDED since" in shown and "worst total for one person: UNBOUNDED" in shown
    refused = shelter.release(shelter.write("north.csv", records), out="protected")
    assert refused.exit_code == 1 and "unbounded for good" in refused.output
    assert not (office.folder / "protected").exists()


def test_the_mark_is_there_before_a_record_is_opened(office: Office, people: MakePeople) -> None:
    request = office.request()
    paths = [office.approve(request, steward) for steward in STEWARDS]
    cases = office.shelter.write("north.csv", people(50))
    seen: list[tuple[str, set[str]]] = []

    def stop_when_counting(phase: str, share: float | None, /) -> None:
        seen.append((phase, office.marked()))
        if phase == "count":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_k_synthetic_of_files(
            [cases],
            load_schema(str(office.folder / "shelter.json")),
            (Approval.read(paths[0], KRequest), Approval.read(paths[1], KRequest)),
            TrustStore.load(office.store),
            Ledger.open(office.folder / "ledger.sqlite"),
            SigningKey.load(office.key("Amal")),
            office.folder / "k",
            open_accounts=True,
            progress=stop_when_counting,
        )
    assert seen[-1] == ("count", {"north/shelter"})
    assert all(not marked for phase, marked in seen if phase == "check")
    again = office.make([cases], paths)  # a request is good for one attempt, also where it failed
    assert again.exit_code == 1 and "used before" in again.output
    assert not (office.folder / "k").exists()


def test_a_request_makes_one_file(office: Office, people: MakePeople) -> None:
    office.made(people(60))
    approvals = [office.folder / f"request-{steward}.json" for steward in STEWARDS]
    refused = office.make([office.folder / "north.csv"], approvals, out="second")
    assert refused.exit_code == 1 and "used before" in refused.output
    assert not (office.folder / "second").exists()


def test_people_whom_organisations_share_are_refused(office: Office, people: MakePeople) -> None:
    shelter = office.shelter
    north, south = shelter.write("north.csv", people(40)), shelter.write("south.csv", people(40, start=30))
    assert shelter.release(north, south).exit_code == 0
    request = office.request()
    approvals = [office.approve(request, steward) for steward in STEWARDS]
    refused = office.make([north], approvals)
    assert refused.exit_code == 1 and "south/shelter" in refused.output
    assert office.marked() == set()


def test_another_ledger_schema_or_folder_than_approved_is_refused(
    office: Office, people: MakePeople, make_shelter: Callable[[str], Shelter]
) -> None:
    request = office.request()
    approvals = [office.approve(request, steward) for steward in STEWARDS]
    cases = office.shelter.write("north.csv", people(50))
    other = make_shelter("other")
    named = [part for approval in approvals for part in ("--approval", approval)]
    fixed = [
        "--out",
        office.folder / "k",
        "--key",
        office.key("Amal"),
        "--trust",
        office.store,
        "--open-accounts",
        *named,
    ]
    elsewhere = office.shelter.run(
        "k-release",
        "make",
        cases,
        "--schema",
        office.folder / "shelter.json",
        "--ledger",
        other.folder / "ledger.sqlite",
        *fixed,
    )
    assert elsewhere.exit_code == 1 and "another ledger" in elsewhere.output
    unlike = office.shelter.run("k-release", "make", cases, "--schema", "ctdc-global", *office.ledger, *fixed)
    assert unlike.exit_code == 1 and "another schema" in unlike.output
    (office.folder / "k").mkdir()
    there = office.make([cases], approvals)
    assert there.exit_code == 1 and "never overwritten" in there.output
    assert office.marked() == set()


def test_everything_names_the_three_attacks_and_says_that_it_is_not_private(office: Office, people: MakePeople) -> None:
    request = office.folder / "request.json"
    screens = [office.ok("k-release", "--help").output]
    bundle = office.made(people(60))
    asked = office.shelter.run(
        "k-release", "approve", request, "--yes", "--key", office.key("Amal"), "-o", request.parent / "x"
    )
    screens += [asked.output, (bundle / "datasheet.md").read_text(encoding="utf-8")]
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["facts"]
    assert manifest["differentially_private"] is False and manifest["warning"] == WARNING
    assert manifest["known_attacks"] == [attack.name for attack in ATTACKS]
    assert not {"guarantee", "epsilon", "people"} & set(manifest)
    for screen in screens:
        assert WARNING in screen
    for attack in ATTACKS:
        assert all(attack.name in screen for screen in screens[1:])
    assert screens[2].startswith(f"# {WARNING}")
    for name in ("csv", "parquet"):
        assert (bundle / f"not-differentially-private.{name}").is_file()


def test_verify_says_what_it_is_and_who_approved_it(office: Office, people: MakePeople) -> None:
    bundle = office.made(people(60))
    verified = office.ok("verify", bundle, "--trust", office.store).output
    assert "NOT differentially private: a k-synthetic file, k 10" in verified
    assert "approved   by Amal and Berta" in verified


def test_a_bundle_without_its_approvals_does_not_pass_even_signed(office: Office, people: MakePeople) -> None:
    bundle = office.made(people(60))
    facts = parse_manifest((bundle / "manifest.json").read_bytes()).facts
    key = SigningKey.load(office.key("Amal"))
    approvals = json.loads((bundle / "approvals.json").read_text(encoding="utf-8"))["approvals"]
    for kept in (approvals[:1], [approvals[0], approvals[0]], []):
        (bundle / "approvals.json").write_text(json.dumps({"approvals": kept}), encoding="utf-8")
        write_manifest(bundle, facts)
        sign_manifest(bundle, key)
        refused = office.shelter.run("verify", bundle, "--trust", office.store)
        assert refused.exit_code == 1 and "approv" in refused.output
    exchanged = [{**approvals[0], "signature": approvals[1]["signature"]}, approvals[1]]
    (bundle / "approvals.json").write_text(json.dumps({"approvals": exchanged}), encoding="utf-8")
    write_manifest(bundle, facts)
    sign_manifest(bundle, key)
    forged = office.shelter.run("verify", bundle, "--trust", office.store)
    assert forged.exit_code == 1 and "does not fit its request" in forged.output
    (bundle / "approvals.json").unlink()
    write_manifest(bundle, facts)
    sign_manifest(bundle, key)
    assert "nobody approved it" in office.shelter.run("verify", bundle, "--trust", office.store).output


def test_no_other_command_takes_it_for_a_protected_release(office: Office, people: MakePeople) -> None:
    bundle = office.made(people(60))
    trust, key = ("--trust", office.store), ("--key", office.key("Amal"))
    commands: tuple[tuple[str | Path, ...], ...] = (
        ("indicators", bundle, "-o", office.folder / "i", *trust),
        ("compare", bundle, bundle, *trust),
        ("decide", "publish", bundle, *office.ledger, *key),
        ("evaluate", bundle, office.folder / "north.csv", "--no-attacks", "--to-screen", *office.ledger, *key),
    )
    for words in commands:
        refused = office.shelter.run(*words)
        assert refused.exit_code != 0
        assert "fault of the program" not in refused.output


def test_a_dataset_of_a_vault_goes_the_same_way(office: Office, house: SafeHouse, people: MakePeople) -> None:
    everyone = [{**record, "mayCare": "yes", "mayCount": "yes", "mayPool": "yes"} for record in people(80)]
    house.take_in([*everyone[:60], *({**record, "mayRelease": "no"} for record in everyone[60:])])
    schema = house.folder / "house.json"
    schema.write_text(json.dumps(house.open().dataset("north", "cases").schema.document()), encoding="utf-8")
    source = f"vault:{house.open().vault_id}"
    fixed = (
        "--dataset",
        "north/cases",
        "--source",
        source,
        "--schema",
        schema,
        "--people-cap",
        "10000",
        "--reason",
        "r",
    )
    request = office.folder / "house-request.json"
    office.ok("k-release", "request", *fixed, *office.ledger, "-o", request)
    approvals = [part for steward in STEWARDS for part in ("--approval", office.approve(request, steward))]
    places = (*office.ledger, "--trust", office.store, "--key", office.key("Amal"), "--open-accounts")
    result = house.run("k-release", "make", "--from-vault", "--out", office.folder / "k", *approvals, *places)
    assert result.exit_code == 0, result.output
    assert office.marked() == {"north/cases"}
    genders = Counter(row["gender"] for row in _rows(office.folder / "k"))
    assert genders["woman"] == 30 and genders["man"] == 10  # 30 and 15 of the 60 who agreed, rounded down


def test_records_come_from_where_two_people_approved(office: Office, house: SafeHouse, people: MakePeople) -> None:
    cases = office.shelter.write("north.csv", people(50))
    for number, source in enumerate((f"vault:{house.open().vault_id}", "vault:")):
        request = office.request(f"{number}.json", source=source)
        refused = office.make([cases], [office.approve(request, steward) for steward in STEWARDS])
        assert refused.exit_code == 1 and "these are case files" in refused.output
    house.take_in([{**record, "mayCare": "yes", "mayCount": "yes", "mayPool": "yes"} for record in people(60)])
    fixed = ("--dataset", "north/cases", "--schema", office.folder / "shelter.json", "--people-cap", "100")
    for number, source in enumerate(("a register", "vault:another")):
        request = office.folder / f"vault-{number}.json"
        office.ok("k-release", "request", *fixed, "--source", source, "--reason", "r", *office.ledger, "-o", request)
        named = [part for steward in STEWARDS for part in ("--approval", office.approve(request, steward))]
        places = (*office.ledger, "--trust", office.store, "--key", office.key("Amal"), "--open-accounts")
        refused = house.run("k-release", "make", "--from-vault", "--out", office.folder / "k", *named, *places)
        assert refused.exit_code == 1 and "does not name this vault" in refused.output
    assert office.marked() == set()
    assert not (office.folder / "k").exists()


def test_the_request_and_the_bundle_name_the_source_and_hold_nothing_of_the_files(
    office: Office, people: MakePeople
) -> None:
    """A digest of the case files would let whoever knows all records but one confirm a guess of that one."""
    bundle = office.made(people(60))
    facts = parse_manifest((bundle / "manifest.json").read_bytes()).facts
    assert facts["source"] == "a register"
    asked = json.loads((office.folder / "request.json").read_text(encoding="utf-8"))
    assert asked["source"] == "a register"
    cases = (office.folder / "north.csv").read_bytes()
    said = "".join((bundle / name).read_text(encoding="utf-8") for name in ("approvals.json", "datasheet.md"))
    assert hashlib.sha256(cases).hexdigest() not in said + json.dumps(facts) + json.dumps(asked)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_nothing_but_its_own_command_and_verify_leads_to_it() -> None:
    """There is no server route: no other module of the service imports the k mode."""
    users = {
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        for name in _imports(path)
        if ".k_mode" in name or name.startswith("casesynth.kanonymity")
    }
    own = {"releases/k_mode.py", "releases/k_mode_bundle.py", "releases/k_mode_request.py"}
    assert users == own | {"cli/k_release.py", "cli/verify.py"}
