"""Sessions, codes and tokens as a state machine: a model with sets and times beside the real store, in any order that Hypothesis finds.

After each step, each value that was ever handed out is tried. What the model says is alive works, and everything else does not.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.front_door import ADDRESS, FrontDoor, Person, SoftPasskey

from casehaven.organisations.access import STEP_UP_SECONDS, Operation
from casehaven.organisations.errors import NotSignedInError
from casehaven.organisations.roles import Role
from casehaven.signin import codes, credentials, recovery, sign_in, tokens
from casehaven.signin.errors import SignInError
from casehaven.signin.sessions import IDLE_SECONDS, LONGEST_SECONDS

DAY = 86_400


class SignInMachine(RuleBasedStateMachine):
    """One caseworker, `cleo`, with two who can let her back in."""

    made: Path
    """The folder of a store that they joined, for copies."""
    people: tuple[Person, ...]
    settled: int
    """When they had been members for long enough to approve recoveries."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="casehaven-machine-"))
        self.sessions: dict[str, list[int]] = {}  # value: began, seen, stepped up
        self.tokens: dict[str, tuple[str, int]] = {}  # value: id, ends
        self.codes: set[str] = set()
        self.passkeys: list[SoftPasskey] = []
        self.gone: dict[str, list[Any]] = {"sessions": [], "tokens": [], "codes": [], "passkeys": []}

    @initialize()
    def open(self) -> None:
        self.door = FrontDoor.at(self.folder / "store", made=self.made)
        self.door.clock.now = self.settled
        self.ana, self.ben, cleo = (replace(each, passkey=replace(each.passkey)) for each in self.people)
        self.passkeys.append(cleo.passkey)
        self._began(cleo.session)

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    # --- the model

    def _now(self) -> int:
        return self.door.clock()

    def _began(self, value: str) -> None:
        self.sessions[value] = [self._now()] * 3

    def _lives(self, value: str) -> bool:
        began, seen, _ = self.sessions[value]
        return self._now() < began + LONGEST_SECONDS and self._now() - seen < IDLE_SECONDS

    def _alive(self) -> str | None:
        return next((value for value in self.sessions if self._lives(value)), None)

    def _end_sessions(self, but: str | None = None) -> None:
        self.gone["sessions"] += [value for value in self.sessions if value != but]
        self.sessions = {value: times for value, times in self.sessions.items() if value == but}

    def _end_tokens(self) -> None:
        self.gone["tokens"] += self.tokens
        self.tokens = {}

    def _fresh(self) -> str | None:
        """A live session with a fresh second factor; steps up where needed."""
        value = self._alive()
        if value is None:
            return None
        return value if self._now() - self.sessions[value][2] < STEP_UP_SECONDS else self._step_up(value)

    def _step_up(self, value: str) -> str:
        session = self.door.session(value)
        answer = self.passkeys[0].sign(sign_in.step_up_options(self.door.site, session))
        new = sign_in.step_up_with_passkey(self.door.site, session, value, answer)
        began, _, _ = self.sessions.pop(value)
        self.sessions[new] = [began, self._now(), self._now()]
        self.gone["sessions"].append(value)
        return new

    def _as(self, value: str) -> Person:
        return Person(handle="cleo", passkey=self.passkeys[0], session=value)

    # --- what people do

    @rule(seconds=st.sampled_from([1, 59, 60, 299, 300, 1_740, 1_800, 40_000, DAY]))
    def time_passes(self, seconds: int) -> None:
        self.door.clock.now += seconds

    @rule()
    def sign_in(self) -> None:
        self._began(self.door.sign_in(self._as("")))

    @precondition(lambda self: self._alive() is not None)
    @rule()
    def step_up(self) -> None:
        value = self._alive()
        assert value is not None
        self._step_up(value)

    @precondition(lambda self: self._alive() is not None)
    @rule(everywhere=st.booleans())
    def sign_out(self, everywhere: bool) -> None:
        value = self._alive()
        assert value is not None
        sign_in.sign_out(self.door.site, self.door.session(value), value, everywhere=everywhere)
        if everywhere:
            self._end_sessions()
        else:
            del self.sessions[value]
            self.gone["sessions"].append(value)

    @precondition(lambda self: self._alive() is not None)
    @rule(days=st.sampled_from([1, 2]))
    def make_token(self, days: int) -> None:
        value = self._fresh()
        assert value is not None
        principal = self.door.principal(self._as(value))
        self.sessions[value][1] = self._seen(value)
        with self.door.site.writing() as connection:
            made, chv = tokens.make_token(
                connection,
                self._now(),
                principal,
                name="t",
                operations=frozenset({Operation.UPLOAD_CREATE}),
                days=days,
            )
        self.tokens[chv] = (made.id, made.ends_at)

    @precondition(lambda self: self.tokens and self._alive() is not None)
    @rule()
    def revoke_token(self) -> None:
        value, chv = self._alive(), next(iter(self.tokens))
        assert value is not None
        principal = self.door.principal(self._as(value))
        self.sessions[value][1] = self._seen(value)
        with self.door.site.writing() as connection:
            tokens.revoke_token(connection, self._now(), principal, self.tokens.pop(chv)[0])
        self.gone["tokens"].append(chv)

    @precondition(lambda self: self._alive() is not None)
    @rule()
    def new_recovery_codes(self) -> None:
        value = self._fresh()
        assert value is not None
        made = credentials.new_recovery_codes(
            self.door.site, self.door.member("cleo"), session_id=self.door.session(value).id
        )
        self._end_sessions(but=value)
        self._end_tokens()
        self.gone["codes"] += self.codes
        self.codes = set(made)

    @precondition(lambda self: self.codes)
    @rule()
    def use_recovery_code(self) -> None:
        code = min(self.codes)
        assert self._take(code)
        self.codes.remove(code)
        self.gone["codes"].append(code)

    @precondition(lambda self: self._alive() is not None and len(self.passkeys) < 3)
    @rule()
    def add_passkey(self) -> None:
        value = self._fresh()
        assert value is not None
        device, member = SoftPasskey(), self.door.member("cleo")
        answer = device.register(credentials.begin_passkey(self.door.site, member))
        session = self.door.session(value)
        credentials.add_passkey(self.door.site, member, answer, name="more", session_id=session.id)
        self.passkeys.append(device)
        self._end_sessions(but=value)
        self._end_tokens()

    @rule(used=st.booleans())
    def recover(self, used: bool) -> None:
        halves = []
        for person in (self.ana, self.ben):
            self.door.sign_in(person)
            halves.append(recovery.approve_recovery(self.door.site, self.door.principal(person), "cleo")[0])
        if not used:
            return
        enrolling = recovery.recover(self.door.site, "cleo", (halves[0], halves[1]), address=ADDRESS)
        again = self.door.enrol("cleo", enrolling)
        self._end_sessions()
        self.gone["passkeys"] += self.passkeys
        self.gone["codes"] += self.codes
        self.gone["tokens"] += self.tokens
        self.passkeys, self.codes, self.tokens = [again.passkey], set(), {}
        self._began(again.session)

    # --- what must hold

    def _seen(self, value: str) -> int:
        """The last use is kept to the minute."""
        return self._now() if self._now() - self.sessions[value][1] >= 60 else self.sessions[value][1]

    def _take(self, code: str) -> bool:
        with self.door.site.writing() as connection:
            member = self.door.member("cleo").id
            return codes.take_code(connection, self._now(), self.door.site.key, member, code) is not None

    def _known(self, value: str) -> bool:
        try:
            principal = self.door.principal(self._as(value))
        except NotSignedInError:
            return False
        fresh = value in self.sessions and self._now() - self.sessions[value][2] < STEP_UP_SECONDS
        assert principal.stepped_up == fresh
        return True

    @invariant()
    def sessions_are_those_of_the_model(self) -> None:
        for value in [*self.sessions]:
            alive = self._lives(value)
            assert self._known(value) == alive
            if alive:
                self.sessions[value][1] = self._seen(value)
            else:
                self.gone["sessions"].append(value)
                del self.sessions[value]
        assert not any(self._known(value) for value in self.gone["sessions"][-6:])

    @invariant()
    def tokens_are_those_of_the_model(self) -> None:
        for chv in [*self.tokens, *self.gone["tokens"][-4:]]:
            alive = chv in self.tokens and self._now() < self.tokens[chv][1]
            try:
                self.door.bearer(chv)
            except NotSignedInError:
                assert not alive
            else:
                assert alive

    @invariant()
    def what_is_gone_opens_nothing(self) -> None:
        assert not any(self._take(code) for code in self.gone["codes"][-3:])
        for device in self.gone["passkeys"][-1:]:
            try:
                self.door.sign_in(Person(handle="cleo", passkey=device, session=""))
            except SignInError:
                continue
            raise AssertionError("a passkey from before a recovery still opens")


def test_sessions_codes_tokens_and_passkeys_behave_as_the_model() -> None:
    with tempfile.TemporaryDirectory() as folder:
        door = FrontDoor.at(Path(folder) / "store")
        ola = door.set_up("ola")
        stewards = door.join(ola, "ana", Role.STEWARD), door.join(ola, "ben", Role.STEWARD)
        people = (*stewards, door.join(ola, "cleo", Role.CASEWORKER))
        door.settle(*people)
        SignInMachine.settled = door.clock()
        SignInMachine.made, SignInMachine.people = door.store.folder, people
        steps = settings(max_examples=8, stateful_step_count=15, deadline=None, suppress_health_check=[*HealthCheck])
        run_state_machine_as_test(SignInMachine, settings=steps)
