"""What the accounts of a charge tell together lets pass only what each of them lets pass (privacy rules 12, 15, 18 and 20)."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from tests.service.ledger.conftest import CAP

from casehaven.ledger import ANSWER_PURPOSE, AnalystId, BudgetExhaustedError, IdempotencyKey
from casehaven.ledger.charges import ChargeRequest
from casehaven.ledger.standing import Standing, all_fit
from casesynth.privacy import PrivacyLoss

if TYPE_CHECKING:
    from tests.service.ledger.conftest import Desk

ENOUGH = Standing(
    accounts=2,
    ids="[1,2]",
    left_nano_rho=100,
    left_delta_units=7,
    below_nano_rho=100,
    below_delta_units=7,
    is_unbounded=False,
    vault_id="v",
    limit_nano_rho=None,
    used_nano_rho=0,
)


def request(nano_rho: int = 100, delta_units: int = 7, datasets: int = 1) -> ChargeRequest:
    return ChargeRequest.of(
        IdempotencyKey.create(),
        {},
        [f"north/cases{number}" for number in range(datasets)],
        ["2021", "2022"],
        PrivacyLoss(nano_rho=nano_rho, delta_units=delta_units),
        ANSWER_PURPOSE,
        AnalystId(text="amina"),
    )


def test_what_is_just_there_fits() -> None:
    assert all_fit(request(), [ENOUGH], "v")
    assert all_fit(request(), [ENOUGH], None)
    assert all_fit(request(datasets=2), [ENOUGH, ENOUGH], "v")
    assert all_fit(request(), [ENOUGH._replace(limit_nano_rho=130, used_nano_rho=30)], "v")


@pytest.mark.parametrize(
    "less",
    [
        {"accounts": 1},
        {"left_nano_rho": 99},
        {"left_delta_units": 6},
        {"below_nano_rho": 99},
        {"below_delta_units": 6},
        {"is_unbounded": True},
        {"vault_id": None},
        {"vault_id": "w"},
        {"limit_nano_rho": 129, "used_nano_rho": 30},
        {"limit_nano_rho": 10, "used_nano_rho": 30},
    ],
)
def test_whatever_is_less_or_other_in_one_dataset_is_asked_one_by_one(less: dict[str, Any]) -> None:
    assert not all_fit(request(), [ENOUGH._replace(**less)], "v")
    assert not all_fit(request(datasets=2), [ENOUGH, ENOUGH._replace(**less)], "v")


def test_a_dataset_without_any_of_the_accounts_is_asked_one_by_one() -> None:
    assert not all_fit(request(datasets=2), [ENOUGH], "v")


def test_the_account_that_has_least_refuses_for_all_whichever_it_is(desk: Desk) -> None:
    blocks = ["2021", "2022"]
    charged = {block: 0 for block in blocks}
    for block, amount in zip(blocks, (CAP // 2, CAP // 4), strict=True):
        desk.charge(amount, blocks=[block])
        charged[block] = amount
    most = CAP - max(charged.values())
    for refused in (CAP, most + 1):
        with pytest.raises(BudgetExhaustedError):
            desk.charge(refused, blocks=blocks)
    desk.charge(most - 1, blocks=blocks)
    desk.charge(1, blocks=blocks)
    for block, part in product(blocks, (1, CAP // 4 + 1)):
        if charged[block] + most + part > CAP:
            with pytest.raises(BudgetExhaustedError):
                desk.charge(part, blocks=[block])
    spent = desk.spent()
    assert {block: spent["north/cases", block] for block in blocks} == {
        block: amount + most for block, amount in charged.items()
    }
