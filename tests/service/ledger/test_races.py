"""Sixty-four processes that charge at once, and processes that are killed at every step, on both databases (privacy rules 14, 15 and 20).

Every process is real, and is really killed: SIGKILL leaves no chance to tidy up.
"""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, get_args

import pytest
from tests.forked import run_forked

from casehaven.ledger import (
    ANSWER_PURPOSE,
    AnalystId,
    AnswerKey,
    BudgetPolicy,
    ChargeState,
    IdempotencyKey,
    Ledger,
    LedgerBehindAnchorError,
    LedgerPolicy,
    Step,
)
from casesynth.privacy import PrivacyLoss

if TYPE_CHECKING:
    from tests.service.ledger.conftest import Desk, MakeDesk

SMALL = LedgerPolicy(account=BudgetPolicy.of("0.05", "1e-6"))
CAP = SMALL.account.cap_nano_rho()
PROCESSES = 64
KEY = AnswerKey(plan_sha256="a" * 64, snapshot="north/cases@1", mechanism="discrete_gaussian_1", noise_scale=5_000)

RACE = """
import json, os, sys
from pathlib import Path
from casehaven.ledger import ANSWER_PURPOSE, AnalystId, BudgetExhaustedError, IdempotencyKey, Ledger
from casesynth.privacy import PrivacyLoss

place, folder, count, cap = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
place = place if place.startswith("postgresql://") else Path(place)

def spender(number):
    ledger = Ledger.open(place, keep_open=True)
    datasets = (["north/cases"], ["south/cases"], ["south/cases", "north/cases"])[number % 3]
    blocks = (["2021"], ["2022"], ["2022", "2021"])[number // 3 % 3]
    analyst = None if number % 4 else AnalystId(text="limited")
    paid = []
    for amount in (cap // 19, 1):
        try:
            receipt = ledger.charge(key=IdempotencyKey.create(), body={"n": number}, datasets=datasets, blocks=blocks,
                                    loss=PrivacyLoss(nano_rho=amount), purpose=ANSWER_PURPOSE, analyst=analyst)
        except BudgetExhaustedError:
            continue
        if not paid:
            ledger.begin_draw(receipt)
        paid.append([datasets, blocks, amount, analyst is not None])
    same = ledger.charge(key=IdempotencyKey(text="shared-key"), body={}, datasets=["north/cases"], blocks=[""],
                         loss=PrivacyLoss(nano_rho=1), purpose=ANSWER_PURPOSE)
    return {"paid": paid, "same": same.charge_id}

Ledger.open(place).statement()  # whatever is imported on first use is imported once, not sixty-four times
children = []
for number in range(count):
    child = os.fork()
    if child == 0:
        try:
            (folder / f"{number}.json").write_text(json.dumps(spender(number)))
        except BaseException as error:
            (folder / f"{number}.failed").write_text(repr(error))
            os._exit(1)
        os._exit(0)
    children.append(child)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""


def ask(ledger: Ledger, shown: str) -> None:
    """Ask one question as the engine does; write down what happened, each word with one call."""

    def tell(word: str) -> None:
        file = os.open(shown, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, word.encode() + b"\n")
        os.close(file)

    key = AnswerKey(plan_sha256="a" * 64, snapshot="north/cases@1", mechanism="discrete_gaussian_1", noise_scale=5_000)
    receipt = ledger.charge(
        key=IdempotencyKey(text="one-question"),
        body={"plan": 1},
        datasets=["north/cases"],
        blocks=["2021"],
        loss=PrivacyLoss(nano_rho=1000),
        purpose=ANSWER_PURPOSE,
    )
    stored = ledger.answer_of(receipt)
    if stored is None:
        ledger.begin_draw(receipt)
        tell("drawn")
        stored = ledger.store_answer(receipt, key, document="answer " + os.urandom(8).hex(), visible_at=0)
    tell("shown:" + stored.document)


KILLED = f"""
import os, signal, sys
from pathlib import Path
from casehaven.ledger import ANSWER_PURPOSE, AnswerKey, IdempotencyKey, Ledger
from casesynth.privacy import PrivacyLoss

{inspect.getsource(ask)}

place, step, shown = sys.argv[1], sys.argv[2], sys.argv[3]
place = place if place.startswith("postgresql://") else Path(place)

def failpoint(reached):
    if reached == step:
        os.kill(os.getpid(), signal.SIGKILL)

ask(Ledger.open(place, failpoint=failpoint), shown)
"""

RESUME = """
import os, signal, sys
from pathlib import Path
from casehaven.ledger import Ledger

place, step = sys.argv[1], sys.argv[2]
place = place if place.startswith("postgresql://") else Path(place)

def failpoint(reached):
    if reached == step:
        os.kill(os.getpid(), signal.SIGKILL)

print(Ledger.open(place, failpoint=failpoint).resume())
"""

OF_A_QUESTION = [
    step for step in get_args(Step) if step.startswith(("charge.", "ceiling.", "draw.", "anchor.", "answer."))
]


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run_forked(script, *arguments, modules="casehaven.ledger psycopg")


def test_sixty_four_processes_never_exceed_a_cap_or_an_allowance_by_any_amount(make_desk: MakeDesk) -> None:
    desk = make_desk(SMALL)
    limited = AnalystId(text="limited")
    for dataset in ("north/cases", "south/cases"):
        desk.open().set_allowance(limited, dataset, CAP // 7)
    folder = desk.folder / "paid"
    folder.mkdir()
    raced = run(RACE, desk.place, folder, PROCESSES, CAP)
    failures = {path.name: path.read_text() for path in folder.glob("*.failed")}
    assert raced.returncode == 0, (failures, raced.stderr)
    results = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    assert len(results) == PROCESSES
    paid: dict[tuple[str, str], int] = {}
    by_limited = {"north/cases": 0, "south/cases": 0}
    for datasets, blocks, nano_rho, is_limited in (charge for result in results for charge in result["paid"]):
        for dataset in datasets:
            by_limited[dataset] += nano_rho * is_limited
            for block in blocks:
                paid[dataset, block] = paid.get((dataset, block), 0) + nano_rho
    spent = desk.spent()
    assert all(spent[account] == amount <= CAP for account, amount in paid.items())  # what was acknowledged is charged
    assert max(paid.values()) > CAP - CAP // 19  # the race reached a cap
    for dataset, amount in by_limited.items():
        assert desk.open().allowance(limited, dataset).spent_nano_rho == amount <= CAP // 7
        assert amount > CAP // 7 - CAP // 19  # and an allowance
    assert len({result["same"] for result in results}) == 1
    assert spent["north/cases", ""] == 1
    desk.open().check_anchor()


@pytest.mark.parametrize("step", OF_A_QUESTION)
def test_a_kill_at_any_step_of_a_question_leaves_no_loss_unpaid_and_one_answer(desk: Desk, step: Step) -> None:
    shown = desk.folder / "shown"
    killed = run(KILLED, desk.place, step, shown)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    lines = shown.read_text().split("\n") if shown.exists() else []
    spent = desk.spent()["north/cases", "2021"]
    assert spent == (0 if step in ("charge.begun", "ceiling.raised", "charge.written") else 1000)
    assert spent >= 1000 * lines.count("drawn")
    ask(desk.open(), str(shown))
    ask(desk.open(), str(shown))
    assert desk.spent()["north/cases", "2021"] == 1000  # the same question is charged once
    lines = shown.read_text().split("\n")
    assert lines.count("drawn") <= 2
    assert len({line for line in lines if line.startswith("shown:")}) == 1  # the same bytes to everyone
    stored = desk.open().cached_answer(KEY)
    assert stored is not None
    assert f"shown:{stored.document}" in lines
    found = desk.open().find(IdempotencyKey(text="one-question"))
    assert found is not None
    assert found.state is ChargeState.REVEALED
    desk.open().check_anchor()


@pytest.mark.parametrize("step", ["resume.written", "resume.committed"])
def test_a_kill_while_resuming_leaves_a_ledger_that_can_be_resumed(desk: Desk, step: Step) -> None:

    put_back = desk.copy()
    lost = desk.draw(1000)
    put_back()
    assert run(RESUME, desk.place, step).returncode == -signal.SIGKILL
    with pytest.raises(LedgerBehindAnchorError):
        desk.charge(1)
    assert desk.open().resume()
    assert desk.spent()["north/cases", "2021"] >= lost
    lost += desk.draw(5)
    assert desk.spent()["north/cases", "2021"] >= lost


def test_a_fork_never_uses_the_connection_of_its_parent(desk: Desk) -> None:
    script = """
import os, sys
from pathlib import Path
from casehaven.ledger import ANSWER_PURPOSE, IdempotencyKey, Ledger
from casesynth.privacy import PrivacyLoss
place = sys.argv[1] if sys.argv[1].startswith("postgresql://") else Path(sys.argv[1])
ledger = Ledger.open(place, keep_open=True)
def charge():
    ledger.charge(key=IdempotencyKey.create(), body={}, datasets=["north/cases"], blocks=["2021"],
                  loss=PrivacyLoss(nano_rho=1), purpose=ANSWER_PURPOSE)
charge()
children = []
for _ in range(6):
    child = os.fork()
    if child == 0:
        try:
            for _ in range(5):
                charge()
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    children.append(child)
    charge()
failed = any([os.waitpid(child, 0)[1] for child in children])
charge()
ledger.close()
charge()
sys.exit(failed)
"""
    ended = run(script, desk.place)
    assert ended.returncode == 0, ended.stderr
    assert desk.spent()["north/cases", "2021"] == 1 + 6 * 6 + 2
