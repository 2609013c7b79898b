"""Whoever writes to the service's store writes no entry of the worker's or the vault's into the audit log, and stops none that comes after."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from tests.front_door import FrontDoor

import casehaven
from casehaven.core.audit_models import audit
from casehaven.organisations import events
from casehaven.organisations.events import RECORDED
from casehaven.organisations.models import event
from casehaven.vault.anchor_state import LEDGER, UNBOUNDED
from casehaven.vault.rootkeys import create_file_key
from casehaven.vault.store import Vault
from casehaven.vault.unbounded import OPENED
from casehaven.worker.drafts import APPROVED
from casehaven.worker.events import REFUSED, move_events
from casehaven.worker.pooling import SIGNED
from casehaven.worker.registry import LOGGED

SOURCES = Path(casehaven.__file__).parent
ACTION = re.compile(r"[a-z_]+\.[a-z_]+")
TELLERS = {"record", "_tell"}


class Log:
    """A store that somebody has taken over, and the vault whose log its events are moved to."""

    def __init__(self, folder: Path) -> None:
        self.door = FrontDoor.at(folder / "store")
        self.vault = Vault.create(folder / "vault", create_file_key(folder / "root.key"))
        self.move()
        self.before = len(self.entries())

    def forge(self, **changed: str) -> None:
        row = {"actor": "nora", "action": "member.joined", "object_kind": "member", "object_id": "nora", **changed}
        with self.door.store.writing() as connection:
            connection.execute(insert(event).values(at=self.door.clock(), organisation="", **row))

    def move(self) -> None:
        move_events(self.door.store, self.vault)

    def entries(self) -> list[tuple[str, str, str, str]]:
        chosen = select(audit.c.action, audit.c.object_kind, audit.c.object_id, audit.c.actor)
        with self.vault.database.transaction(writes=False) as connection:
            return [tuple(row) for row in connection.execute(chosen.order_by(audit.c.position))]

    def moved(self) -> list[tuple[str, str, str, str]]:
        self.move()
        return self.entries()[self.before :]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


@pytest.mark.parametrize(
    "action", [APPROVED, SIGNED, LOGGED, LEDGER, UNBOUNDED, OPENED, "person.erase", "vault.restore", "made.up"]
)
def test_an_action_that_is_not_the_stores_is_entered_as_refused_and_says_nothing_else(log: Log, action: str) -> None:
    log.forge(action=action, object_kind="registry-log", object_id="7:zz")
    assert log.moved() == [(REFUSED, "event", "#1", "nobody")]


@pytest.mark.parametrize(
    "changed",
    [
        {"object_id": "a" * 300},
        {"object_id": "a\nb"},
        {"object_kind": "A B"},
        {"actor": "\u202e"},
        {"action": "no\nword"},
    ],
)
def test_an_event_out_of_form_is_refused_and_stops_none_that_comes_after(log: Log, changed: dict[str, str]) -> None:
    log.forge(**changed)
    log.forge(object_id="sami")
    assert log.moved() == [(REFUSED, "event", "#1", "nobody"), ("member.joined", "member", "sami#2", "nora")]


def test_what_the_service_tells_of_is_what_may_be_moved() -> None:
    told: set[str] = set()
    for path in SOURCES.rglob("*.py"):
        text = path.read_text("utf-8")
        if "events.record(" not in text:
            continue
        tree = ast.parse(text)
        named = {
            target.id: each.value.value
            for each in tree.body
            if isinstance(each, ast.Assign | ast.AnnAssign) and isinstance(each.value, ast.Constant)
            for target in (each.targets if isinstance(each, ast.Assign) else [each.target])
            if isinstance(target, ast.Name)
        }
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and _name(call) in TELLERS:
                for given in (*call.args, *(each.value for each in call.keywords if each.arg == "action")):
                    said = named.get(given.id) if isinstance(given, ast.Name) else getattr(given, "value", None)
                    if isinstance(said, str) and ACTION.fullmatch(said):
                        told.add(said)
    assert told == RECORDED
    assert events.record.__name__ in TELLERS


def _name(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
