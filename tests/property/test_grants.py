"""Nobody can grant more than they hold: random sequences of invitations, grants, revocations and endings, beside a brute force that knows nothing of roles.

What a member can do is counted in *atoms*: every operation on every organisation, on the deployment and on every dataset, asked one by one. After each step:

1. What somebody gained by a role, the one who gave it had before, atom by atom, and might grant roles there.
2. Every atom that anybody has, somebody had before who might grant it there, or came with the founding of its organisation.
3. Whose account two members can open, they are two: neither brought the other, directly or in a chain of invitations and roles, and one of them had every atom of it outside granted datasets.
4. Whoever gets a new code for somebody who was invited, and could join in their place, had every atom of theirs outside granted datasets.
5. Every organisation that was ever joined has an active steward or operator, and an active privacy officer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from casehaven.core.service_store import ServiceStore
from casehaven.organisations import grants, members
from casehaven.organisations.access import DEPLOYMENT, Operation, Principal, Reach
from casehaven.organisations.errors import OrganisationsError
from casehaven.organisations.models import dataset_grant, member, member_role
from casehaven.organisations.roles import RIGHTS, Kind, Role, rights_of
from casehaven.signin import recovery
from casehaven.signin.errors import RecoveryError
from casehaven.signin.independence import DAYS
from casehaven.signin.models import recovery as recovery_row

Atom = tuple[Operation, str, str | None]

KINDS = {"north": Kind.NGO, "south": Kind.NGO, "lab": Kind.RESEARCH, "office": Kind.DEPLOYMENT}
FOUNDERS = {"north": "ana", "south": "sol", "lab": "rea", "office": "olu"}
PLACES = [(organisation, dataset) for organisation in (*KINDS, DEPLOYMENT) for dataset in (None, "cases")]
SINGLE = {"stu": Role.STEWARD, "pia": Role.PRIVACY_OFFICER, "cas": Role.CASEWORKER, "res": Role.RESEARCHER}
"""Members of `north` with one role each."""
HANDLES = [*FOUNDERS.values(), *SINGLE, "m1", "m2"]


class _UndoneError(Exception):
    """Ends an example: nothing of it stays in the store."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ServiceStore:
    return ServiceStore.create(tmp_path_factory.mktemp("grants") / "store")


def _principal(connection: Connection, handle: str) -> Principal:
    """A member with a fresh second factor."""
    found = members.member_named(connection, handle)
    return Principal(
        member_id=found.id,
        handle=handle,
        organisation=found.organisation,
        roles=tuple(sorted(found.roles)),
        rights=rights_of(found.kind, found.roles),
        datasets=members.granted_datasets(connection, found.id),
        session_id="s",
        token_id=None,
        stepped_up=True,
        session_key=bytes(32),
    )


def _atoms(connection: Connection, handle: str) -> frozenset[Atom]:
    """Everything that a member can do, asked one by one."""
    try:
        who = members.as_of_now(connection, _principal(connection, handle))
    except OrganisationsError:
        return frozenset()
    return frozenset(
        (operation, organisation, dataset)
        for operation in Operation
        for organisation, dataset in PLACES
        if who.reaches(operation, organisation, dataset)
    )


def _can_pass_on(atoms: frozenset[Atom], atom: Atom) -> bool:
    _, organisation, dataset = atom
    return (Operation.ROLE_GRANT, organisation, dataset) in atoms or (
        Operation.DATASET_GRANT,
        organisation,
        dataset,
    ) in atoms


STEP = st.one_of(
    st.tuples(st.just("invite"), st.sampled_from(HANDLES), st.sampled_from(HANDLES), st.sampled_from([*Role])),
    st.tuples(st.just("grant"), st.sampled_from(HANDLES), st.sampled_from(HANDLES), st.sampled_from([*Role])),
    st.tuples(st.just("grant"), st.sampled_from(HANDLES), st.sampled_from(HANDLES), st.sampled_from([*Role])),
    st.tuples(st.just("revoke"), st.sampled_from(HANDLES), st.sampled_from(HANDLES), st.sampled_from([*Role])),
    st.tuples(st.just("end"), st.sampled_from(HANDLES), st.sampled_from(HANDLES), st.none()),
    st.tuples(st.just("share"), st.sampled_from(HANDLES), st.sampled_from(HANDLES), st.sampled_from([*KINDS])),
    st.tuples(st.just("recover"), st.sampled_from(HANDLES), st.sampled_from(HANDLES), st.sampled_from(HANDLES)),
    st.tuples(st.just("unshare"), st.sampled_from(HANDLES), st.sampled_from(HANDLES), st.sampled_from([*KINDS])),
)


def _do(connection: Connection, step: tuple[Any, ...]) -> bool:
    """Do one step; whether it was allowed."""
    what, actor, target, which = step
    try:
        who = _principal(connection, actor)
        if what == "invite":
            made = members.invite(connection, 0, who, handle=target, roles=frozenset({which}))
            members.activate(connection, 0, made)
        elif what == "grant":
            members.grant_role(connection, 0, who, handle=target, role=which)
        elif what == "revoke":
            members.revoke_role(connection, 0, who, handle=target, role=which)
        elif what == "recover":
            connection.execute(recovery_row.delete())
            recovery.approve(connection, DAYS * 86_400, who, target)
            return recovery.approve(connection, DAYS * 86_400, _principal(connection, which), target)[1]
        elif what == "end":
            members.end_member(connection, 0, who, handle=target)
        elif what == "share":
            grants.grant_dataset(
                connection, 0, who, handle=target, organisation=which, dataset="cases", allowance_nano_rho=None
            )
        else:
            grants.end_grant(connection, 0, who, handle=target, organisation=which, dataset="cases")
    except (OrganisationsError, RecoveryError):
        return False
    return True


def _open(connection: Connection) -> None:
    """Found the organisations, and let north have members with one role each."""
    for name, kind in KINDS.items():
        made = members.found(connection, 0, name=name, title=name, kind=kind, first=FOUNDERS[name])
        members.activate(connection, 0, made)
    for handle, role in SINGLE.items():
        made = members.invite(connection, 0, _principal(connection, "ana"), handle=handle, roles=frozenset({role}))
        members.activate(connection, 0, made)


def _rows(connection: Connection) -> list[list[Any]]:
    """Everything that says who is what."""
    return [sorted(map(tuple, connection.execute(select(table)))) for table in (member, member_role)] + [
        sorted(map(str, connection.execute(select(dataset_grant))))
    ]


class _World:
    """What everybody can do, and what could be passed on so far."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.held = {handle: _atoms(connection, handle) for handle in HANDLES}
        self.brought: set[tuple[str, str]] = {("ana", handle) for handle in SINGLE}
        """Who invited whom, or gave them a role."""
        self.could_be_passed_on: set[Atom] = {
            atom for handle in FOUNDERS.values() for atom in self.held[handle]
        }  # founding is the one source

    def step(self, step: tuple[Any, ...]) -> bool:
        """Do one step and check everything; whether it was allowed."""
        what, actor, target, which = step
        giver, before = self.held[actor], self.held[target]
        rows = _rows(self.connection)
        if not _do(self.connection, step):
            assert _rows(self.connection) == rows, "a refused step changed something"
            return False
        if what == "recover":
            self._check_recovery(actor, which, target)
        if what in ("invite", "grant") and _rows(self.connection) != rows:
            self.brought.add((actor, target))
        for atoms in self.held.values():
            self.could_be_passed_on |= {atom for atom in atoms if _can_pass_on(atoms, atom)}
        self.held = {handle: _atoms(self.connection, handle) for handle in HANDLES}
        gained = self.held[target] - before
        if what in ("invite", "grant"):
            without_datasets = {atom for atom in gained if atom[2] is None}
            assert without_datasets <= giver, "somebody gave what they did not have"
        if what in ("revoke", "end"):
            lost = {atom for atom in before - self.held[target] if atom[2] is None}
            assert lost <= giver, "somebody took what they could not have given"
        if what == "share":
            assert gained <= giver, "somebody shared a dataset that they could not ask about"
        if what in ("revoke", "end", "unshare"):
            assert not gained, "something was gained by taking away"
        for atoms in self.held.values():
            assert atoms <= self.could_be_passed_on, "a right that nobody with the power to grant it ever held"
        for name, kind in KINDS.items():
            active = [found for found in members.members_of(self.connection, name) if found.active]
            first = Role.OPERATOR if kind is Kind.DEPLOYMENT else Role.STEWARD
            for role in (first, Role.PRIVACY_OFFICER):
                assert any(role in found.roles for found in active), f"{name} has no {role} any more"
        return True

    def _check_recovery(self, one: str, other: str, target: str) -> None:
        """Check rule 3."""
        for first, second in ((one, other), (other, one)):
            reached = {first}
            for _ in HANDLES:
                reached |= {target for actor, target in self.brought if actor in reached}
            assert second not in reached, "one person approved twice"
        opened = {atom for atom in self.held[target] if atom[2] is None}
        assert any(opened <= self.held[each] for each in (one, other)), "a recovery opened what neither had"


def test_a_new_code_is_for_whoever_could_have_invited_with_these_roles(store: ServiceStore) -> None:
    """Every set of one or two roles that waits, asked for by everybody."""
    allowed = 0
    with pytest.raises(_UndoneError), store.writing() as connection:
        _open(connection)
        for number, roles in enumerate(
            [*itertools.combinations(RIGHTS[Kind.NGO], 1), *itertools.combinations(RIGHTS[Kind.NGO], 2)]
        ):
            members.invite(connection, 0, _principal(connection, "ana"), handle=f"w{number}", roles=frozenset(roles))
            waits = rights_of(Kind.NGO, frozenset(roles))
            for actor in (*FOUNDERS.values(), *SINGLE):
                who = _principal(connection, actor)
                try:
                    members.invite_again(connection, 0, who, handle=f"w{number}")
                except OrganisationsError:
                    continue
                allowed += 1
                assert all(who.reaches(right.operation, "north") for right in waits if right.reach is Reach.OWN), (
                    actor,
                    roles,
                )
        raise _UndoneError
    assert allowed > 15


def _steps() -> Iterator[tuple[Any, ...]]:
    """Every step that there is."""
    for actor, target in itertools.product(HANDLES, HANDLES):
        yield "end", actor, target, None
        for verb, role in itertools.product(("invite", "grant", "revoke"), Role):
            if verb != "invite" or target in ("m1", "m2"):
                yield verb, actor, target, role
        for verb, organisation in itertools.product(("share", "unshare"), KINDS):
            yield verb, actor, target, organisation


def test_no_single_step_gives_or_takes_more_than_the_one_who_does_it_has(store: ServiceStore) -> None:
    """Every step of everybody towards everybody, each from the same beginning; about a tenth are allowed."""
    allowed = 0
    with pytest.raises(_UndoneError), store.writing() as connection:
        _open(connection)
        world = _World(connection)
        beginning = world.held
        for step in _steps():
            save = connection.begin_nested()
            allowed += world.step(step)
            save.rollback()
            world.held = beginning
        raise _UndoneError
    assert allowed > 50


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=4, max_size=14))
def test_nobody_ever_holds_a_right_that_nobody_who_held_it_could_give(
    store: ServiceStore, steps: list[tuple[Any, ...]]
) -> None:
    with pytest.raises(_UndoneError), store.writing() as connection:
        _open(connection)
        world = _World(connection)
        for step in steps:
            world.step(step)
        raise _UndoneError


def test_every_kind_of_step_is_allowed_to_somebody(store: ServiceStore) -> None:
    """Without this the properties above could hold because nothing is ever allowed."""
    steps = [
        ("invite", "ana", "m1", Role.CASEWORKER),
        ("grant", "ana", "m1", Role.STEWARD),
        ("revoke", "m1", "ana", Role.STEWARD),
        ("invite", "rea", "m2", Role.RESEARCHER),
        ("share", "m1", "m2", "north"),
        ("unshare", "m1", "m2", "north"),
        ("grant", "olu", "olu", Role.OPERATOR),
        ("end", "rea", "m2", None),
    ]
    with pytest.raises(_UndoneError), store.writing() as connection:
        _open(connection)
        world = _World(connection)
        assert all(world.step(step) for step in steps)
        raise _UndoneError


def test_only_independent_pairs_with_the_rights_open_an_account(store: ServiceStore) -> None:
    """Every pair of approvers for every account, after a chain of invitations; some are allowed."""
    opened = set()
    with pytest.raises(_UndoneError), store.writing() as connection:
        _open(connection)
        world = _World(connection)
        assert world.step(("invite", "ana", "m1", Role.STEWARD))
        assert world.step(("grant", "m1", "m1", Role.RESEARCHER))
        assert world.step(("invite", "pia", "m2", Role.PRIVACY_OFFICER))
        for one, other, target in itertools.permutations(("ana", "stu", "pia", "cas", "m1", "m2", "sol", "olu"), 3):
            save = connection.begin_nested()
            if world.step(("recover", one, target, other)):
                opened.add((*sorted((one, other)), target))
            save.rollback()
        raise _UndoneError
    assert ("m1", "stu", "cas") in opened
    assert not any({"pia", "m2"} <= {*each[:2]} for each in opened), "an officer and their own account"
    assert not any("ana" in each[:2] and each[0] != "olu" and each[1] != "olu" for each in opened), (
        "the founder brought all"
    )
