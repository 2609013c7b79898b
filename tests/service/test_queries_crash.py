"""Questions whose process dies at every step, or is not alone: what was spent covers what was drawn, and one answer is shown.

The ledger is a file or a real Postgres server. Processes really are killed, with SIGKILL at a named step, so where a kill falls does not depend on time.
"""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from sqlalchemy import select
from tests.forked import run_forked

from casehaven.ledger import (
    BudgetPolicy,
    ChargeState,
    DrawRefusedError,
    IdempotencyKey,
    Ledger,
    LedgerPolicy,
    models,
)
from casehaven.queries import Asked, Queries
from casehaven.queries.attempts import Step
from casehaven.vault.rootkeys import file_key
from casehaven.vault.store import Vault

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse
    from tests.service.conftest import Postgres

NOW = 1_700_000_000
STEPS: tuple[Step, ...] = get_args(Step)
BY = (["gender"], ["age"], ["means"], ["year"], ["gender", "age"], ["gender", "year"])

MODULES = "casehaven.ledger casehaven.queries casehaven.vault.rootkeys casehaven.vault.store psycopg"
SCRIPT = """
import json, os, signal, sys, traceback
from pathlib import Path
from casehaven.ledger import IdempotencyKey, Ledger
from casehaven.queries import Queries
from casehaven.vault.rootkeys import file_key
from casehaven.vault.store import Vault

folder, place, tasks = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])

def work(task, out):
    def failpoint(reached):
        if reached == task.get("step"):
            os.kill(os.getpid(), signal.SIGKILL)
    vault = Vault.open(folder / "vault", file_key(folder / "root.key"))
    ledger = Ledger.open(place if "://" in place else Path(place))
    queries = Queries(vault=vault, ledger=ledger, datasets=[vault.dataset("north", "cases")],
                      clock=lambda: 1_700_000_000, failpoint=failpoint)
    question = queries.parse({"by": task["by"], "accuracy": {"within_people": 2}})
    found = queries.ask(question, IdempotencyKey(text=task["key"]))
    out.write_text(json.dumps([found.answer, found.charged is not None]))

def run(tasks):
    children = []
    for task in tasks:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work(task, folder / (task["name"] + ".json"))
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

print(json.dumps([run(together) for together in tasks]))
"""


@dataclass(kw_only=True)
class Desk:
    """A safe house whose people may be asked about, with a ledger somewhere."""

    folder: Path
    place: str

    @property
    def ledger(self) -> Ledger:
        return Ledger.open(self.place if "://" in self.place else Path(self.place))

    def run(self, *tasks: list[dict[str, Any]]) -> list[list[int]]:
        """Run groups of tasks in processes, those of one group at once; return how each ended."""
        done = run_forked(SCRIPT, self.folder, self.place, json.dumps(tasks), modules=MODULES)
        assert done.returncode == 0, done.stderr
        found: list[list[int]] = json.loads(done.stdout)
        return found

    def ask(self, by: list[str], key: str) -> Asked:
        vault = Vault.open(self.folder / "vault", file_key(self.folder / "root.key"))
        queries = Queries(
            vault=vault, ledger=self.ledger, datasets=[vault.dataset("north", "cases")], clock=lambda: NOW
        )
        return queries.ask(queries.parse({"by": by, "accuracy": {"within_people": 2}}), IdempotencyKey(text=key))

    def charges(self) -> dict[str, tuple[int, int]]:
        """Nano-rho and draws of every charge, by its key."""
        with self.ledger._store.transaction(writes=False) as connection:
            row = models.charge.c
            found = connection.execute(select(row.idempotency_key, row.nano_rho, row.draws))
            return {key: (nano_rho, draws) for key, nano_rho, draws in found}

    @property
    def spent(self) -> int:
        return max(row.spent_nano_rho for row in self.ledger.statement().rows)


@pytest.fixture(params=["sqlite", "postgres"])
def desk(
    request: pytest.FixtureRequest, house: SafeHouse, people: MakePeople, tmp_path: Path, postgres: Postgres
) -> Desk:
    house.take_in([{**r, **dict.fromkeys(("mayCare", "mayCount", "mayPool"), "yes")} for r in people(300)])
    place = str(tmp_path / "ledger.sqlite") if request.param == "sqlite" else postgres()
    if request.param == "postgres":
        request.addfinalizer(lambda: postgres.give_back(place))
    ledger = Ledger.create(
        place if "://" in place else Path(place),
        LedgerPolicy(account=BudgetPolicy.of("100", "1e-6")),
        anchor=tmp_path / "ledger.anchor",
    )
    vault = house.open()
    blocks = Queries(vault=vault, ledger=ledger, datasets=[vault.dataset("north", "cases")]).facts.blocks
    ledger.open_dataset("north/cases", blocks)
    return Desk(folder=house.folder, place=place)


def _killed(desk: Desk, tasks: list[dict[str, Any]]) -> None:
    assert desk.run(*[[task] for task in tasks]) == [[-signal.SIGKILL] for _ in tasks]


def test_killed_at_every_step_it_is_charged_once_redrawn_at_most_once_and_one_answer_is_shown(desk: Desk) -> None:
    tasks: list[dict[str, Any]] = [
        {"name": step, "step": step, "by": by, "key": f"killed-{step}"} for step, by in zip(STEPS, BY, strict=True)
    ]
    _killed(desk, tasks)
    drawn = {"charged": 0, "drawing": 1, "opened": 1, "counted": 1, "answered": 1, "stored": 1}
    before = desk.charges()
    assert {key: draws for key, (_, draws) in before.items()} == {f"killed-{s}": drawn[s] for s in STEPS}
    spent = desk.spent
    assert spent == sum(nano_rho for nano_rho, _ in before.values())  # every charge stands, whatever was seen of it
    for task in tasks:
        first = desk.ask(task["by"], task["key"])
        again = desk.ask(task["by"], task["key"])
        assert json.dumps(first.answer) == json.dumps(again.answer) and again.charged is None
        assert (first.charged is None) == (
            task["step"] == "stored"
        )  # what was stored is shown; else it is drawn once more
        nano_rho, draws = desk.charges()[task["key"]]
        assert first.answer["guarantee"]["nano_rho"] == nano_rho
        assert draws == drawn[task["step"]] + (task["step"] != "stored") <= 2
    assert desk.spent == spent


def test_killed_again_while_it_is_redrawn_it_is_spent(desk: Desk) -> None:
    task = {"name": "twice", "step": "counted", "by": ["gender"], "key": "killed-twice"}
    _killed(desk, [task, task])
    spent = desk.spent
    for _ in range(2):
        with pytest.raises(DrawRefusedError):
            desk.ask(["gender"], "killed-twice")
    assert desk.spent == spent and desk.charges()["killed-twice"][1] == 2
    anew = desk.ask(["gender"], "another-key")  # what was drawn and never stored helps nobody
    assert anew.charged is not None and anew.answer["earlier_tables"] == 0
    known = desk.ledger.find(IdempotencyKey(text="killed-twice"))
    assert known is not None and known.state is ChargeState.REDRAWN


def test_several_at_once_under_one_key_draw_once_and_show_one_answer(desk: Desk) -> None:
    one = [{"name": f"one-{n}", "by": ["gender"], "key": "shared-key"} for n in range(4)]
    many = [{"name": f"many-{n}", "by": ["age"], "key": f"key-of-{n}"} for n in range(4)]
    assert desk.run(one, many) == [[0] * 4, [0] * 4]
    for group in (one, many):
        found = [json.loads((desk.folder / f"{task['name']}.json").read_text()) for task in group]
        assert len({json.dumps(answer) for answer, _ in found}) == 1
        assert sum(charged for _, charged in found) == 1
    charges = desk.charges()
    assert len(charges) == 2 and all(draws == 1 for _, draws in charges.values())
    assert desk.spent == sum(nano_rho for nano_rho, _ in charges.values())
    assert not list(desk.folder.parent.glob(".*.asking"))
