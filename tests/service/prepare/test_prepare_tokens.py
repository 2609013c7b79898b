"""Who meets whom under a linkage key, and who is found again."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from click.testing import Result

from casehaven.intake.linkage_key import LinkageKey, read_linkage_key
from casehaven.intake.prepare_tokens import name_words, person_tokens, reference_token
from casehaven.intake.uploads import take_in
from casehaven.vault.snapshots import snapshot
from caseschemas import load_schema
from casesynth.privacy import PrivacyLoss, Receipt

if TYPE_CHECKING:
    from tests.service.prepare.conftest import Agreement

HTCDS = "htcds-2.0"
CANARY = "Canary Xylophone"


def test_a_person_is_found_by_what_the_case_reference_became(agreement: Agreement) -> None:
    source = agreement.export()
    assert agreement.prepare(source).exit_code == 0
    take_in(agreement.vault, agreement.vault.dataset("north", "cases"), agreement.open())
    folder = agreement.folder
    said = agreement.run(
        "linkage",
        "reference",
        folder / "agreement.key",
        "--organisation",
        "north",
        "--case-reference",
        " c000001-000007 ",
    )
    assert said.exit_code == 0 and said.output.strip() in agreement.cells()["caseReference"]
    places = ("--vault", folder / "vault", "--root-key", f"file:{folder / 'root.key'}")

    def find(reference: str) -> Result:
        return agreement.run("person", "find", reference, "--dataset", "north/cases", "--reason", "a test", *places)

    assert find(said.output.strip()).exit_code == 0, find(said.output.strip()).output
    assert find("C000001-000007").exit_code != 0
    other = agreement.run(
        "linkage", "reference", folder / "other.key", "--organisation", "north", "--case-reference", "C000001-000007"
    )
    assert find(other.output.strip()).exit_code != 0


def test_partners_make_the_same_token_for_the_same_names_and_birth_date_and_for_nobody_else(
    agreement: Agreement,
) -> None:
    header = "personToken,prs_FirstName,prs_SecondName,prs_Birthdate,prs_Gender"
    north, south = agreement.folder / "n.csv", agreement.folder / "s.csv"
    north.write_text(
        f"{header}\n1,Ana,Example,1990-05-06,Feminine\n2,Bo,Sample,1991-01-02,Masculine\n3,Cy,Test,1992,Feminine\n",
        "utf-8",
    )
    south.write_text(
        f"{header}\n3,EXAMPLE,ana,1990-05-06,\n1,Dee,Else,1985-07-08,Feminine\n9,Cy,Test,1992,Feminine\n", "utf-8"
    )
    ours, theirs = agreement.tokens(north), agreement.tokens(south, "south")
    assert len(set(ours) & set(theirs)) == 1
    assert len(set(ours)) == len(set(theirs)) == 3
    again = agreement.tokens(north, extra=("--person-numbers", "shared"))
    assert len(set(again) & set(ours)) == 2  # the person without a full date of birth has another kind of token
    (agreement.folder / "agreement.key").write_bytes((agreement.folder / "other.key").read_bytes())
    assert not set(agreement.tokens(south, "south")) & {*ours, *theirs}


def test_numbers_meet_only_where_the_partners_say_that_they_share_them(agreement: Agreement) -> None:
    source = agreement.export(schema="ctdc-global")
    own = [set(agreement.tokens(source, one, "ctdc-global")) for one in ("north", "south")]
    assert not own[0] & own[1]
    shared = [
        set(agreement.tokens(source, one, "ctdc-global", ("--person-numbers", "shared"))) for one in ("north", "south")
    ]
    assert shared[0] == shared[1] and len(shared[0]) > 30


def test_all_records_of_a_person_key_have_one_token(agreement: Agreement) -> None:
    source = agreement.export(people=200)
    found = dict[str, set[str]]()
    assert agreement.prepare(source).exit_code == 0
    with source.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    cells = agreement.cells()
    by_reference = dict(zip(cells["caseReference"], cells["personToken"], strict=True))
    key = read_linkage_key(agreement.folder / "agreement.key")
    for row in rows:
        token = by_reference.get(reference_token(key, "north", row["person/caseReference"]))
        if token is not None:
            found.setdefault(row["person/personToken"], set()).add(token)
    assert len(found) > 150
    assert max(map(len, found.values())) == 1
    assert len({token for tokens in found.values() for token in tokens}) == len(found)


def test_one_person_key_has_one_token_in_all_files_of_a_run_and_one_refusal_wins(agreement: Agreement) -> None:
    named, bare = agreement.folder / "named.csv", agreement.folder / "bare.csv"
    header = "_uuid,_id,__version__,person/personToken,case/prs_Gender,consent/consentSyntheticRelease"
    names = "person/prs_FirstName,person/prs_SecondName,person/prs_Birthdate"
    named.write_text(f"{header},{names}\nu1,1,v,P1,Feminine,no,Ana,Example,1990-03-04\n", "utf-8")
    bare.write_text(f"{header}\nu2,2,v, P1 ,Feminine,yes\nu3,3,v,P2,Masculine,yes\n", "utf-8")
    for files in ((named, bare), (bare, named)):
        done = agreement.prepare(*files)
        assert done.exit_code == 0, done.output
        tokens = agreement.cells()["personToken"]
        assert (len(tokens), len(set(tokens))) == (3, 2)
    dataset = agreement.vault.dataset("north", "cases")
    take_in(agreement.vault, dataset, agreement.open())
    found = snapshot(agreement.vault, [agreement.vault.dataset("north", "cases")], "synthetic_release")
    assert found.open(Receipt(charge_id="c1", loss=PrivacyLoss(nano_rho=1))).people == 1, "P1 refused in one file"


def test_nobody_is_taken_for_a_person_of_their_own_unless_somebody_says_so(agreement: Agreement) -> None:
    source = agreement.folder / "nobody.csv"
    header = "prs_Gender,prs_FirstName,prs_SecondName,prs_Birthdate"
    rows = ("Feminine,Ana,Example,04/03/1990", "Feminine,ana,EXAMPLE,1990-03-04", "Masculine,Bo,Example,25/12/1985")
    source.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    unsure = agreement.prepare(source)
    assert unsure.exit_code == 1 and "tell people apart" in unsure.output
    sure = agreement.prepare(source, extra=("--row-is-person",))
    assert sure.exit_code == 0, sure.output
    tokens = agreement.cells()["personToken"]
    assert len(tokens) == 3 and len(set(tokens)) == 2  # names and a full date are the person; one date proves the order


def test_a_linkage_key_that_others_can_read_or_that_is_none_is_refused(agreement: Agreement) -> None:
    source, key = agreement.export(people=4), agreement.folder / "agreement.key"
    key.chmod(0o644)
    assert "chmod 600" in agreement.prepare(source).output
    key.chmod(0o600)
    key.write_text("casehaven-root-key/1:" + "0" * 64, "utf-8")
    assert "holds no linkage key" in agreement.prepare(source).output
    key.unlink()
    assert agreement.prepare(source).exit_code == 1
    assert not (agreement.folder / "out.prepared").exists()


def test_a_linkage_key_is_never_overwritten_and_never_shown(agreement: Agreement) -> None:
    path = agreement.folder / "new.key"
    made = agreement.run("linkage", "create", path)
    assert made.exit_code == 0 and path.stat().st_mode & 0o077 == 0
    secret = path.read_text("ascii").strip().removeprefix("casehaven-linkage-key/1:")
    assert len(secret) == 64
    assert agreement.run("linkage", "create", path).exit_code == 1
    shown = agreement.run("linkage", "show", path)
    assert secret in path.read_text("ascii") and secret not in made.output + shown.output
    assert shown.output.strip() in made.output


def test_names_that_differ_in_a_vowel_sign_are_two_people_and_accents_are_forgiven() -> None:
    alike = [
        ("Zoé", "Zoe"),
        ("ÅSA", "asa"),
        ("Ёлка", "елка"),
        ("مُحَمَّد", "محمد"),
        ("O\u2019Neill", "o neill"),
        ("Ma\u200dria", "maria"),
    ]
    for one, other in alike:
        assert name_words([one, "x"]) == name_words([other, "x"]), (one, other)
    differ = [
        ("राम", "रोम"),
        ("কমলা", "কমলি"),
        ("สมชาย", "สมชัย"),
        ("கமலா", "கமலி"),
        ("ကို", "ကု"),
        ("김", "강"),
        ("王", "李"),
    ]
    for one, other in differ:
        assert name_words([one, "x"]) != name_words([other, "x"]), (one, other)
        assert len(name_words([one, "x"])) == 2


def test_person_keys_that_differ_in_capitals_are_two_people() -> None:
    key, schema = LinkageKey(key=bytes(32)), load_schema("ctdc-global")
    tokens = person_tokens(key, schema, "north", ["a0Xe", "a0xE", " a0Xe "], {})
    assert tokens[0] == tokens[2] != tokens[1]


def test_person_keys_that_differ_in_white_space_are_one_person_with_one_token() -> None:
    key, schema = LinkageKey(key=bytes(32)), load_schema(HTCDS)
    cells = {"prs_FirstName": "Ana", "prs_SecondName": "Example", "prs_Birthdate": "1990-03-04"}
    made = {name: ["", cell, cell] for name, cell in cells.items()}
    assert len(set(person_tokens(key, schema, "north", ["P 1", " P  1", "Q"], made))) == 1


def test_a_record_with_two_contents_in_several_files_is_refused_and_equal_ones_count_once(agreement: Agreement) -> None:
    first, second, third = (agreement.folder / f"{number}.csv" for number in range(3))
    header = "_uuid,_id,__version__,person/personToken,case/prs_Gender,consent/con_Consent"
    first.write_text(f"{header}\nu1,1,v,p1,Feminine,TRUE\nu2,2,v,p2,Masculine,TRUE\n", "utf-8")
    second.write_text(f"{header}\nu2,2,v,p2,Masculine,TRUE\nu3,3,v,p3,Masculine,TRUE\n", "utf-8")
    third.write_text(f"{header}\nu1,1,v,p1,Feminine,FALSE\n", "utf-8")
    done = agreement.prepare(first, second)
    assert done.exit_code == 0, done.output
    assert len(agreement.cells()["personToken"]) == 3
    refused = agreement.prepare(first, third, out="x.prepared")
    assert refused.exit_code == 1 and "with other content" in refused.output
    assert not (agreement.folder / "x.prepared").exists()
