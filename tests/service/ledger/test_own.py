"""An organisation's own ledger tells what the public statement tells, month by month and by purpose, and nothing earlier or finer (privacy rule 18); on both databases."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from tests.service.ledger.conftest import CAP, ONE, TWO

from casehaven.ledger import AnalystId, RaiseApproval, RaiseRequest
from casehaven.ledger.own import own_ledger
from casehaven.ledger.public import public_statement

if TYPE_CHECKING:
    from tests.service.ledger.conftest import Desk

TODAY = date(2026, 11, 20)


def charge(desk: Desk, clock: str, sixteenths: float, **changes: Any) -> None:
    """Charge so many sixteenths of the cap at a moment, and draw."""
    ledger = desk.open(clock=lambda: clock)
    ledger.begin_draw(desk.charge(int(CAP * sixteenths / 16), ledger=ledger, **changes))


def own(desk: Desk, organisation: str = "north", today: date = TODAY) -> Any:
    return own_ledger(desk.open(), organisation, today=today)


def account(found: Any, block: str = "2021") -> Any:
    return next(row for row in found["accounts"] if row["block"] == block)


def test_months_are_cumulative_steps_and_the_last_is_the_public_statement(desk: Desk) -> None:
    charge(desk, "2026-07-31T23:59:59Z", 0.5)
    charge(desk, "2026-08-01T00:00:00Z", 2.2, blocks=["2021", "2022"])
    charge(desk, "2026-10-05T00:00:00Z", 4, purpose="synthetic_release")
    charge(desk, "2026-11-02T00:00:00Z", 3)  # this month: nobody is told
    found = own(desk)
    assert [(month["month"], month["spent_parts"]) for month in account(found)["months"]] == [
        ("2026-07", 1),
        ("2026-08", 3),
        ("2026-10", 7),
    ]
    assert account(found)["purposes"] == {"question": 3, "synthetic_release": 4}
    stated: Any = public_statement(desk.open(), today=TODAY)
    for row in found["accounts"]:
        public = next(
            each for each in stated["accounts"] if (each["dataset"], each["block"]) == (row["dataset"], row["block"])
        )
        assert {name: row[name] for name in public} == public
        last = row["months"][-1]["spent_parts"] if row["months"] else 0
        assert last == public["spent_parts"]


def test_a_charge_of_this_month_changes_no_byte_of_it(desk: Desk) -> None:
    charge(desk, "2026-10-05T00:00:00Z", 1)
    before = own(desk)
    charge(desk, "2026-11-03T00:00:00Z", 5, analyst=AnalystId(text="amina"))
    assert own(desk) == before
    assert own(desk, today=date(2026, 12, 1)) != before


def test_two_charges_within_one_step_look_alike(desk: Desk) -> None:
    charge(desk, "2026-10-05T00:00:00Z", 1.2)
    before = own(desk)
    charge(desk, "2026-10-06T00:00:00Z", 0.5)
    assert own(desk) == before


def test_an_organisation_sees_its_own_accounts_and_allowances_alone(desk: Desk) -> None:
    ledger = desk.open()
    for dataset in ("north/cases", "south/cases"):
        ledger.set_allowance(AnalystId(text="amina"), dataset, CAP // 2)
    ledger.set_allowance(AnalystId(text="agreement@" + "a" * 32), "north/cases", CAP)
    ledger.set_allowance(AnalystId(text="agreement@" + "b" * 32), "north/cases", CAP)  # not used yet: nobody is told
    charge(desk, "2026-10-04T00:00:00Z", 1, analyst=AnalystId(text="agreement@" + "a" * 32))
    charge(desk, "2026-10-05T00:00:00Z", 1.2, analyst=AnalystId(text="amina"), blocks=["2021", "2022"])
    charge(desk, "2026-10-06T00:00:00Z", 2, datasets=["south/cases"], analyst=AnalystId(text="amina"))
    found = own(desk)
    assert {row["dataset"] for row in found["accounts"]} == {"north/cases"}
    assert found["allowances"] == [
        {
            "dataset": "north/cases",
            "analyst": None,
            "agreement": "a" * 32,
            "limit_nano_rho": CAP,
            "used_parts": 1,
            "used": True,
        },
        {
            "dataset": "north/cases",
            "analyst": "amina",
            "agreement": None,
            "limit_nano_rho": CAP // 2,
            "used_parts": 3,  # 2.4 sixteenths of half the cap, counted once over its two blocks
            "used": True,
        },
    ]
    assert own(desk, "nobody")["accounts"] == own(desk, "nobody")["allowances"] == []


def test_a_raise_moves_no_step_of_a_month_upwards(desk: Desk) -> None:
    charge(desk, "2026-08-05T00:00:00Z", 7)
    before = [month["spent_parts"] for month in account(own(desk))["months"]]
    ledger = desk.open()
    asked = RaiseRequest.draw_up(
        ledger=ledger.id, dataset="north/cases", epsilon_now="2", epsilon="4", reason="a report"
    )
    assert not ledger.raised(asked.digest())
    ledger.raise_cap([RaiseApproval.by(asked, key) for key in (ONE, TWO)])
    assert ledger.raised(asked.digest())
    after = account(own(desk))
    assert after["cap_nano_rho"] > after["first_cap_nano_rho"] == CAP
    assert all(now <= then for now, then in zip([m["spent_parts"] for m in after["months"]], before, strict=True))


def test_what_an_earlier_copy_may_have_lost_shows_in_its_month(desk: Desk) -> None:
    charge(desk, "2026-08-05T00:00:00Z", 2)
    put_back = desk.copy()
    charge(desk, "2026-09-05T00:00:00Z", 4)
    put_back()
    desk.open(clock=lambda: "2026-11-10T00:00:00Z").resume()
    row = account(own(desk))
    assert [month["month"] for month in row["months"]] == ["2026-08", "2026-11"]
    assert row["purposes"]["resumed"] >= 4
    assert row["months"][-1]["spent_parts"] == row["spent_parts"] >= 6


def test_a_clock_that_was_ahead_hides_nothing(desk: Desk) -> None:
    charge(desk, "2036-01-05T00:00:00Z", 3)
    (month,) = account(own(desk))["months"]
    assert (month["month"], month["spent_parts"]) == ("2026-10", 3)
