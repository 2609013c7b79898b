"""Who may approve raises is named at the first start of a service, and a later start changes nobody (privacy rule 19). A ledger on a server is made before the service is."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.service.conftest import Postgres

from casehaven.cli import main
from casehaven.cli.serve import _made
from casehaven.ledger import BudgetPolicy, BudgetRaiseError, Ledger, LedgerPolicy, NotALedgerError
from casehaven.serving.errors import OtherApproversError
from casehaven.serving.folder import ServiceFolder
from casesynth.signing import SigningKey, TrustStore

ONE, TWO, THREE = SigningKey.create(), SigningKey.create(), SigningKey.create()
PEOPLE = TrustStore().add("Director", ONE.public_key).add("Data steward", TWO.public_key)
OTHERS = TrustStore().add("Director", ONE.public_key).add("Data steward", THREE.public_key)


def serve(folder: Path, trust: TrustStore, *names: str, part: str = "all") -> Result:
    """Run `casehaven serve`, for starts that are refused before anything listens."""
    trust.save(folder / "trust.json")
    words = ["serve", part, "--folder", folder / "service", "--trust", folder / "trust.json"]
    words += [word for name in names for word in ("--approver", name)]
    return CliRunner().invoke(main, [str(word) for word in words])


def named(folder: Path) -> list[str]:
    present = Ledger.open(folder / "ledger.sqlite").approvers()
    return [] if present is None else [signer.name for signer in present.people.signers]


def test_the_first_start_names_two_people_and_a_later_one_may_name_them_again(tmp_path: Path) -> None:
    folder = tmp_path / "service"
    ServiceFolder.at(folder).make(epsilon="1", approvers=PEOPLE)
    assert named(folder) == ["Director", "Data steward"]
    ServiceFolder.at(folder).make(epsilon="1")
    ServiceFolder.at(folder).make(epsilon="1", approvers=TrustStore(signers=PEOPLE.signers[::-1]))
    for others in (OTHERS, PEOPLE.add("Third", THREE.public_key)):
        with pytest.raises(OtherApproversError, match="approved by Director") as refused:
            ServiceFolder.at(folder).make(epsilon="1", approvers=others)
        assert f"Data steward ({TWO.public_key.fingerprint})" in str(refused.value)  # names may be the same
    assert named(folder) == ["Director", "Data steward"]


def test_a_ledger_that_names_nobody_is_given_nobody_by_a_start(tmp_path: Path) -> None:
    folder = tmp_path / "service"
    ServiceFolder.at(folder).make(epsilon="1")
    with pytest.raises(OtherApproversError, match="approved by nobody"):
        ServiceFolder.at(folder).make(epsilon="1", approvers=PEOPLE)
    assert named(folder) == []


def test_a_first_start_that_was_cut_short_goes_on_with_the_same_people_alone(tmp_path: Path) -> None:
    folder = tmp_path / "service"
    ServiceFolder.at(folder).make(epsilon="1", approvers=PEOPLE)
    (folder / "first-start").touch()
    with pytest.raises(OtherApproversError):
        ServiceFolder.at(folder).make(epsilon="1", approvers=OTHERS)
    ServiceFolder.at(folder).make(epsilon="1", approvers=PEOPLE)
    assert not (folder / "first-start").exists() and named(folder) == ["Director", "Data steward"]


def test_one_approver_or_a_name_that_nobody_trusts_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(BudgetRaiseError, match="2 to 32 people"):
        ServiceFolder.at(tmp_path / "service").make(epsilon="1", approvers=TrustStore(signers=PEOPLE.signers[:1]))
    refused = serve(tmp_path, PEOPLE, "Director", "Somebody")
    assert refused.exit_code != 0 and "Somebody is not in the trust store trust.json" in refused.output
    alone = serve(tmp_path, PEOPLE, "Director")
    assert alone.exit_code != 0 and "2 to 32 people" in alone.output
    assert not (tmp_path / "service").exists()


def test_a_first_start_says_who_approves_as_the_ledger_has_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Ledger.create(tmp_path / "ledger", LedgerPolicy(account=BudgetPolicy.of("1", "1e-6")), approvers=PEOPLE)
    _made(ServiceFolder.at(tmp_path / "one", ledger=tmp_path / "ledger"), "1", TrustStore())
    assert capsys.readouterr().out == "raises     approved by two of Director, Data steward\n"
    _made(ServiceFolder.at(tmp_path / "two"), "1", TrustStore())
    assert capsys.readouterr().out.startswith("raises     none")
    _made(ServiceFolder.at(tmp_path / "two"), "1", TrustStore())
    assert capsys.readouterr().out == ""  # said once


@pytest.mark.parametrize("part", ["api", "worker"])
def test_a_part_by_itself_makes_no_ledger_and_names_nobody(tmp_path: Path, part: str) -> None:
    refused = serve(tmp_path, PEOPLE, "Director", "Data steward", part=part)
    assert refused.exit_code == 2 and "casehaven ledger create --approver" in refused.output
    assert not (tmp_path / "service").exists()


def test_a_start_with_other_approvers_says_what_to_do(tmp_path: Path) -> None:
    ServiceFolder.at(tmp_path / "service").make(epsilon="1", approvers=PEOPLE)
    refused = serve(tmp_path, OTHERS, "Director", "Data steward")
    assert refused.exit_code == 1
    assert "the ledger is there already" in refused.output and "request-approvers" in refused.output


def test_a_ledger_on_a_server_is_made_first_and_then_used_as_it_is(tmp_path: Path, postgres: Postgres) -> None:
    folder, address = tmp_path / "service", postgres()
    words = ["serve", "--folder", str(folder), "--ledger", address]
    refused = CliRunner().invoke(main, words)
    assert (
        refused.exit_code != 0 and "holds no ledger" in refused.output and "casehaven ledger create" in refused.output
    )
    assert not folder.exists()
    anchor = tmp_path / "ledger.anchor"
    made = CliRunner().invoke(
        main, ["ledger", "create", "--ledger", address, "--anchor", str(anchor), "--epsilon", "3"]
    )
    assert made.exit_code == 0, made.output
    before = Ledger.open(address).statement()
    with pytest.raises(OtherApproversError, match="approved by nobody"):
        ServiceFolder.at(folder, ledger=address).make(epsilon="1", approvers=PEOPLE)
    assert not folder.exists()
    for _ in range(2):
        ServiceFolder.at(folder, ledger=address).make(epsilon="1")
    after = Ledger.open(address).statement()
    assert (after.ledger_id, after.policy) == (before.ledger_id, before.policy)
    postgres.give_back(address)
    with pytest.raises(NotALedgerError) as lost:
        ServiceFolder.at(folder, ledger=address).make(epsilon="1")
    assert not hasattr(lost.value, "__notes__")  # nobody is advised to begin anew what was spent
