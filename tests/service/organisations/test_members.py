"""Members of organisations: inviting, roles, ending, and what others can tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from casehaven.organisations import grants, members
from casehaven.organisations.access import Operation, require
from casehaven.organisations.errors import (
    ForbiddenError,
    GrantBeyondRightsError,
    LastHolderError,
    NameTakenError,
    NotFoundError,
    NotSignedInError,
    OrganisationsError,
    RoleOfKindError,
    StepUpNeededError,
)
from casehaven.organisations.roles import Kind, Role
from casehaven.signin.joining import end_member, invite_member

if TYPE_CHECKING:
    from tests.front_door import FrontDoor, Person


def _grant(door: FrontDoor, by: Person, handle: str, role: Role) -> None:
    principal = door.principal(by)
    with door.site.writing() as connection:
        members.grant_role(connection, door.clock(), principal, handle=handle, role=role)


def _revoke(door: FrontDoor, by: Person, handle: str, role: Role) -> None:
    principal = door.principal(by)
    with door.site.writing() as connection:
        members.revoke_role(connection, door.clock(), principal, handle=handle, role=role)


def _end(door: FrontDoor, by: Person, handle: str) -> None:
    end_member(door.site, door.principal(by), handle=handle)


def _share(door: FrontDoor, by: Person, handle: str, organisation: str = "north") -> None:
    principal = door.principal(by)
    with door.site.writing() as connection:
        grants.grant_dataset(
            connection,
            door.clock(),
            principal,
            handle=handle,
            organisation=organisation,
            dataset="cases",
            allowance_nano_rho=5,
        )


def test_a_member_who_was_invited_and_has_not_joined_is_nobody_yet(door: FrontDoor) -> None:
    ana = door.set_up()
    made, _ = invite_member(door.site, door.principal(ana), handle="bob", roles=frozenset({Role.STEWARD}))
    assert made.state == "invited"
    with pytest.raises(LastHolderError):  # bob does not count as a steward before he joined
        _revoke(door, ana, "ana", Role.STEWARD)


def test_a_role_that_was_taken_away_is_gone_at_the_next_request(door: FrontDoor) -> None:
    ana = door.set_up()
    bob = door.join(ana, "bob", Role.CASEWORKER)
    require(door.principal(bob), Operation.UPLOAD_CREATE, "north")
    _revoke(door, ana, "bob", Role.CASEWORKER)
    with pytest.raises(ForbiddenError):
        require(door.principal(bob), Operation.UPLOAD_CREATE, "north")


def test_rights_of_a_moment_ago_do_not_count(door: FrontDoor) -> None:
    ana = door.set_up()
    bob = door.join(ana, "bob", Role.STEWARD)
    before = door.principal(bob)
    _revoke(door, ana, "bob", Role.STEWARD)
    with door.site.writing() as connection, pytest.raises(ForbiddenError):
        members.invite(connection, door.clock(), before, handle="eve", roles=frozenset())
    _end(door, ana, "bob")
    with door.site.writing() as connection, pytest.raises(NotSignedInError):
        members.invite(connection, door.clock(), before, handle="eve", roles=frozenset())


@pytest.mark.parametrize("role", [Role.STEWARD, Role.PRIVACY_OFFICER])
def test_the_last_active_holder_of_a_kept_role_stays(door: FrontDoor, role: Role) -> None:
    ana = door.set_up()
    with pytest.raises(LastHolderError):
        _revoke(door, ana, "ana", role)
    with pytest.raises(LastHolderError):
        _end(door, ana, "ana")
    door.join(ana, "bob", role)
    _revoke(door, ana, "ana", role)
    with pytest.raises(OrganisationsError):
        _revoke(door, ana, "bob", role)


def test_the_last_operator_stays(door: FrontDoor) -> None:
    olu = door.set_up("olu", "office", Kind.DEPLOYMENT)
    with pytest.raises(LastHolderError):
        _revoke(door, olu, "olu", Role.OPERATOR)
    with pytest.raises(LastHolderError):
        _end(door, olu, "olu")


def test_a_handle_is_never_given_again(door: FrontDoor) -> None:
    ana = door.set_up()
    door.join(ana, "bob", Role.CASEWORKER)
    _end(door, ana, "bob")
    with pytest.raises(NameTakenError):
        invite_member(door.site, door.principal(ana), handle="bob", roles=frozenset())
    with door.site.reading() as connection:
        assert [found.handle for found in members.members_of(connection, "north")] == ["ana"]


def test_an_ended_member_has_no_role_and_no_grant(door: FrontDoor) -> None:
    ana = door.set_up()
    rea = door.found("rea", "lab", Kind.RESEARCH)
    res = door.join(rea, "res", Role.RESEARCHER)
    _share(door, ana, "res")
    assert door.principal(res).datasets == {"north/cases"}
    _end(door, rea, "res")
    with door.site.reading() as connection:
        assert members.member_named(connection, "res").roles == frozenset()
        assert grants.grants_of(connection, "north") == []


def test_members_of_others_cannot_be_told_from_nobody(door: FrontDoor) -> None:
    ana = door.set_up()
    door.found("eve", "south")
    door.join(ana, "gone", Role.CASEWORKER)
    _end(door, ana, "gone")
    for handle in ("eve", "nobody", "gone"):
        for act in (_grant, _revoke):
            with pytest.raises(NotFoundError) as caught:
                act(door, ana, handle, Role.CASEWORKER)
            assert str(caught.value) == str(NotFoundError())
        with pytest.raises(NotFoundError):
            _end(door, ana, handle)


def test_a_steward_neither_makes_nor_unmakes_a_privacy_officer(door: FrontDoor) -> None:
    ana = door.set_up()
    ben = door.join(ana, "ben", Role.STEWARD)
    pia = door.join(ana, "pia", Role.PRIVACY_OFFICER)
    for refused in (
        lambda: _grant(door, ben, "ben", Role.PRIVACY_OFFICER),
        lambda: _revoke(door, ben, "pia", Role.PRIVACY_OFFICER),
        lambda: _end(door, ben, "pia"),
        lambda: _grant(door, pia, "pia", Role.STEWARD),
        lambda: _end(door, pia, "ben"),
        lambda: invite_member(door.site, door.principal(pia), handle="new", roles=frozenset({Role.CASEWORKER})),
    ):
        with pytest.raises(GrantBeyondRightsError):
            refused()


def test_a_kind_of_organisation_has_its_own_roles(door: FrontDoor) -> None:
    rea = door.set_up("rea", "lab", Kind.RESEARCH)
    for role in (Role.CASEWORKER, Role.OPERATOR, Role.POLICYMAKER):
        with pytest.raises(RoleOfKindError):
            _grant(door, rea, "rea", role)


def test_changing_members_needs_a_fresh_second_factor(door: FrontDoor) -> None:
    ana = door.set_up()
    door.join(ana, "bob", Role.CASEWORKER)
    door.clock.now += 300
    for refused in (
        lambda: _grant(door, ana, "bob", Role.RESEARCHER),
        lambda: _end(door, ana, "bob"),
        lambda: _share(door, ana, "bob"),
        lambda: invite_member(door.site, door.principal(ana), handle="new", roles=frozenset()),
    ):
        with pytest.raises(StepUpNeededError):
            refused()


def test_a_grant_lets_a_researcher_ask_about_that_dataset_and_no_other(door: FrontDoor) -> None:
    ana = door.set_up()
    rea = door.found("rea", "lab", Kind.RESEARCH)
    res = door.join(rea, "res", Role.RESEARCHER)
    with pytest.raises(NotFoundError):
        require(door.principal(res), Operation.QUESTION_ASK, "north", dataset="cases")
    _share(door, ana, "res")
    require(door.principal(res), Operation.QUESTION_ASK, "north", dataset="cases")
    for dataset in ("others", None):
        with pytest.raises(NotFoundError):
            require(door.principal(res), Operation.QUESTION_ASK, "north", dataset=dataset)
    with pytest.raises(NotFoundError):
        require(door.principal(res), Operation.PERSON_FIND, "north", dataset="cases")
    principal = door.principal(ana)
    with door.site.writing() as connection:
        assert [found.allowance_nano_rho for found in grants.grants_of(connection, "north")] == [5]
        grants.end_grant(connection, door.clock(), principal, handle="res", organisation="north", dataset="cases")
    with pytest.raises(NotFoundError):
        require(door.principal(res), Operation.QUESTION_ASK, "north", dataset="cases")
    assert door.actions()[-2:] == ["dataset.granted", "dataset.grant_ended"]


def test_nobody_grants_a_dataset_of_others(door: FrontDoor) -> None:
    door.set_up()
    rea = door.found("rea", "lab", Kind.RESEARCH)
    eve = door.found("eve", "south")
    for giver in (rea, eve):
        with pytest.raises(NotFoundError):
            _share(door, giver, "rea")


def test_a_grant_that_was_passed_on_is_refused(door: FrontDoor) -> None:
    ana = door.set_up()
    eve = door.found("eve", "south")
    _share(door, ana, "eve")
    with pytest.raises(NotFoundError):
        _share(door, eve, "eve")
    rea = door.found("rea", "lab", Kind.RESEARCH)
    with pytest.raises(NotFoundError):
        _share(door, eve, rea.handle)


def test_every_change_is_an_event_with_its_actor(door: FrontDoor) -> None:
    ana = door.set_up()
    before = len(door.actions())
    bob = door.join(ana, "bob", Role.CASEWORKER)
    _grant(door, ana, "bob", Role.RESEARCHER)
    _revoke(door, ana, "bob", Role.RESEARCHER)
    _end(door, ana, bob.handle)
    assert [action for action in door.actions()[before:] if not action.startswith(("credential", "session"))] == [
        "member.invited",
        "role.granted",
        "member.joined",
        "role.granted",
        "role.revoked",
        "member.ended",
    ]
