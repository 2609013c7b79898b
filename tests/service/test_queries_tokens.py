"""How many person tokens one person may have is what an answer's guarantee for a person rests on (privacy rules 2 and 26)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from casehaven.intake.prepared_history import remember_prepared
from casehaven.intake.sealed_upload import PreparedFile
from casehaven.ledger import BudgetPolicy, IdempotencyKey, Ledger, LedgerPolicy
from casehaven.queries import Queries
from casehaven.releases.draft import ReleaseDraft
from casehaven.releases.service import release_vault_datasets
from casehaven.vault.datasets import Dataset
from casehaven.vault.store import Vault
from casesynth.manifest import verify_bundle
from casesynth.model import FitSettings
from casesynth.signing import SigningKey, TrustStore

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse


def _prepared(vault: Vault, dataset: Dataset, linkage_key: str) -> None:
    """Let a dataset remember a file whose tokens were made under a linkage key."""
    file = PreparedFile(
        path=Path("a.prepared"),
        columns=(),
        token_rule="names-birth/1",
        linkage_key=linkage_key,
        sha256="0" * 64,
        prepared_at="2026-06-30T12:00:00Z",
        table=pa.table({}),
    )
    with vault.database.transaction(writes=True) as connection:
        remember_prepared(vault, dataset, file, connection)


def test_datasets_of_one_organisation_under_two_linkage_keys_give_one_person_two_tokens(
    house: SafeHouse, people: MakePeople, tmp_path: Path
) -> None:
    house.take_in([{**r, "mayPool": "yes"} for r in people(60)])
    vault = house.open()
    first = vault.dataset("north", "cases")
    datasets = [first, *(vault.add_dataset("north", name, first.schema, 100) for name in ("later", "last"))]
    other = vault.add_dataset("south", "cases", first.schema, 100)
    ledger = Ledger.create(tmp_path / "ledger.sqlite", LedgerPolicy(account=BudgetPolicy.of("100", "1e-6")))

    def tokens(*asked: Dataset) -> int:
        return Queries(vault=vault, ledger=ledger, datasets=asked).facts.tokens

    assert (tokens(first), tokens(*datasets), tokens(*datasets, other)) == (1, 1, 2)
    _prepared(vault, datasets[1], "SHA256:one")
    assert (tokens(*datasets), tokens(datasets[1]), tokens(*datasets, other)) == (2, 1, 3)
    _prepared(vault, datasets[2], "SHA256:one")
    assert (tokens(*datasets), tokens(*datasets[1:])) == (2, 1)
    for dataset in datasets:
        ledger.open_dataset(dataset.id, Queries(vault=vault, ledger=ledger, datasets=[dataset]).facts.blocks)
    queries = Queries(vault=vault, ledger=ledger, datasets=datasets)
    question = queries.parse({"by": ["gender"], "accuracy": {"within_people": 3}})
    quote = queries.quote(question)
    stated = queries.ask(question, IdempotencyKey(text="two-tokens")).answer["guarantee"]
    assert stated["max_tokens_per_person"] == quote.plan.tokens == 2
    assert stated["epsilon_per_person"] == quote.plan.epsilon_per_person > stated["epsilon"]


def test_a_release_states_a_token_for_each_linkage_key(
    house: SafeHouse, people: MakePeople, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "casesynth.synthesis.FitSettings",
        lambda: FitSettings(classes=10, steps=40, starts=1, pilot_classes=8, pilot_steps=20),
    )
    house.take_in(people(60))
    vault = house.open()
    first = vault.dataset("north", "cases")
    later = vault.add_dataset("north", "later", first.schema, 100)
    _prepared(vault, later, "SHA256:one")
    ledger = Ledger.create(tmp_path / "ledger.sqlite", LedgerPolicy(account=BudgetPolicy.of("100", "1e-6")))
    key = SigningKey.create()
    draft = ReleaseDraft(
        vault_datasets=(first.id, later.id),
        schema=first.schema,
        epsilon=1,
        people_cap=20_000,
        out=tmp_path / "bundle",
        open_accounts=True,
    )
    release_vault_datasets(draft, vault, ledger, key, IdempotencyKey.create())
    found = verify_bundle(tmp_path / "bundle", TrustStore().add("us", key.public_key)).manifest
    assert found is not None
    guarantee: Any = found.facts["guarantee"]
    assert guarantee["max_tokens_per_person"] == 2 and guarantee["epsilon_per_person"] > guarantee["epsilon"]
