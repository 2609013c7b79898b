"""The budget of an agreement under many workers at once, on SQLite and on Postgres, store and ledger both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Barrier, Thread
from typing import TYPE_CHECKING

import pytest
from tests.round_table import BY_GENDER, RoundTable, laid_table

from casehaven.agreements.errors import AgreementBudgetError
from casehaven.ledger import IdempotencyKey
from casehaven.organisations.access import Operation
from casehaven.worker.pooling import payer, permission
from casehaven.worker.work import Work
from casesynth.privacy import PrivacyLoss

if TYPE_CHECKING:
    from tests.service.conftest import Postgres

PRICE = 10**6
"""Nano-rho."""
WORKERS = 16


@pytest.fixture(params=["sqlite", "postgresql"])
def table(
    request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RoundTable]:
    """A table on each database."""
    laid = laid_table(tmp_path_factory.getbasetemp())
    if request.param == "sqlite":
        yield laid.again(tmp_path / "table")
        return
    server: Postgres = request.getfixturevalue("postgres")
    store, ledger = server(), server()
    yield RoundTable.at(tmp_path, cases=laid.folder.with_name("round-table-cases"), database=store, ledger=ledger)
    for address in (store, ledger):
        server.give_back(address)


def test_sixteen_workers_never_charge_more_than_the_agreements_budget(table: RoundTable) -> None:
    """Each asks for a tenth of it at the same moment: ten are charged, six are refused, and no account pays more."""
    ledger, document = table.bench.ledger, table.agree(budget_nano_rho=10 * PRICE)
    asked = {"agreement": document.agreement, "question": BY_GENDER}
    works = [table.job("question.ask", table.asker, asked) for _ in range(WORKERS)]
    gate, said = Barrier(WORKERS), list[str]()

    def one(work: Work) -> None:
        found = permission(work, "pooled_statistics", Operation.QUESTION_ASK)
        found.pool(["2020"])
        loss = PrivacyLoss(nano_rho=PRICE)
        gate.wait()
        try:
            with found.permit(loss):
                ledger.charge(
                    key=IdempotencyKey(text=found.key),
                    body={},
                    datasets=[dataset.id for dataset in found.counted],
                    blocks=["2020"],
                    loss=loss,
                    purpose="question",
                    analyst=payer(document),
                    vault_id=table.bench.vault.vault_id,
                )
            said.append("charged")
        except AgreementBudgetError:
            said.append("refused")

    threads = [Thread(target=one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["charged"] * 10 + ["refused"] * 6
    for dataset in document.datasets:
        assert ledger.allowance(payer(document), dataset).spent_nano_rho == 10 * PRICE == table.spent(dataset)
