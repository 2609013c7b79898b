"""The first run, invitations, and two people who let a third back in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select
from tests.front_door import ADDRESS

from casehaven.core.service_tables import job
from casehaven.organisations import events, members
from casehaven.organisations.access import Operation
from casehaven.organisations.errors import (
    ForbiddenError,
    GrantBeyondRightsError,
    NameFormError,
    NameTakenError,
    NotFoundError,
    NotSignedInError,
    StepUpNeededError,
)
from casehaven.organisations.roles import Kind, Role
from casehaven.signin import credentials, independence, joining, recovery, setup
from casehaven.signin.errors import BrokenCodeError, NoWayInError, RecoveryError
from casehaven.signin.models import device, passkey, password, recovery_code, session, token, totp
from casehaven.signin.sessions import find_session
from casehaven.signin.tokens import make_token

if TYPE_CHECKING:
    from tests.front_door import FrontDoor, Person


def _set_up(door: FrontDoor, code: str, handle: str = "ana", name: str = "north", kind: Kind = Kind.NGO) -> str:
    return setup.set_up(door.site, code, name=name, title="Shelter", kind=kind, handle=handle, address=ADDRESS)


def _setup_code(door: FrontDoor) -> str:
    code = setup.setup_code(door.site)
    assert code is not None
    return code


def test_the_first_run_makes_an_organisation_and_its_steward(either_door: FrontDoor) -> None:
    ana = either_door.set_up()
    principal = either_door.principal(ana)
    assert (principal.organisation, principal.roles) == ("north", ("privacy_officer", "steward"))
    assert setup.setup_code(either_door.site) is None
    with either_door.site.reading() as connection:
        assert connection.scalars(select(job.c.kind)).all() == ["organisation.keys"]


def test_the_code_of_the_first_run_works_once_and_for_an_hour(door: FrontDoor) -> None:
    code = _setup_code(door)
    door.clock.now += 3_600
    with pytest.raises(BrokenCodeError):
        _set_up(door, code)
    code = _setup_code(door)
    _set_up(door, code)
    with pytest.raises(BrokenCodeError):
        _set_up(door, code)


def test_a_new_code_ends_the_one_before(door: FrontDoor) -> None:
    first, second = _setup_code(door), _setup_code(door)
    with pytest.raises(BrokenCodeError):
        _set_up(door, first)
    assert _set_up(door, second.lower())


def test_a_name_that_cannot_be_costs_no_code(door: FrontDoor) -> None:
    code = _setup_code(door)
    for handle, name in (("Ana", "north"), ("ana", "No rth"), ("a", "north"), ("ana", "../x"), ("ana\n", "north")):
        with pytest.raises(NameFormError):
            _set_up(door, code, handle, name)
    assert _set_up(door, code)


def test_a_set_up_that_was_left_unfinished_is_cleared_away(door: FrontDoor) -> None:
    value = _set_up(door, _setup_code(door), "ana", "north")
    door.give_password_to_enrolling(value, "ana")
    person = door.enrol("bob", _set_up(door, _setup_code(door), "bob", "north"))
    assert door.principal(person).handle == "bob"
    with door.site.reading() as connection:
        assert [found.handle for found in members.members_of(connection, "north")] == ["bob"]
        assert find_session(connection, door.clock(), value) is None
        assert connection.execute(select(totp)).all() == []


def test_an_old_code_is_worth_nothing_once_somebody_signed_in(door: FrontDoor) -> None:
    code = _setup_code(door)
    with door.site.writing() as connection:
        made = members.found(connection, door.clock(), name="north", title="N", kind=Kind.NGO, first="ana")
        members.activate(connection, door.clock(), made)
    with pytest.raises(BrokenCodeError):
        _set_up(door, code, "eve", "south")


def test_the_deployments_operator_comes_by_a_code_of_their_own(door: FrontDoor) -> None:
    door.set_up()
    code = setup.operator_code(door.site)
    assert code is not None
    with pytest.raises(BrokenCodeError):  # good for the deployment only
        _set_up(door, code, "eve", "south")
    operator = door.enrol("olu", _set_up(door, code, "olu", "office", Kind.DEPLOYMENT))
    assert door.principal(operator).roles == ("operator", "privacy_officer")
    assert setup.operator_code(door.site) is None


def test_an_unfinished_deployment_is_begun_again_and_a_working_one_never(door: FrontDoor) -> None:
    door.set_up()
    for handle in ("olu", "ola"):
        code = setup.operator_code(door.site)
        assert code is not None
        value = _set_up(door, code, handle, "office", Kind.DEPLOYMENT)
    door.enrol("ola", value)
    with pytest.raises(NameTakenError), door.site.writing() as connection:
        members.found(connection, door.clock(), name="second", title="N", kind=Kind.DEPLOYMENT, first="eve")


def test_an_operator_founds_organisations_and_the_first_member_joins_with_a_code(door: FrontDoor) -> None:
    operator = door.set_up("olu", "office", Kind.DEPLOYMENT)
    _, code = joining.create_organisation(
        door.site, door.principal(operator), name="north", title="North", kind=Kind.NGO, first="ana"
    )
    ana = door.enrol("ana", joining.join(door.site, code, address=ADDRESS))
    assert door.principal(ana).roles == ("privacy_officer", "steward")
    with pytest.raises(ForbiddenError):
        joining.create_organisation(
            door.site, door.principal(ana), name="south", title="South", kind=Kind.NGO, first="bob"
        )


def test_an_invitation_works_once_for_seven_days_and_a_new_one_ends_it(door: FrontDoor) -> None:
    ana = door.set_up()
    _, first = joining.invite_member(door.site, door.principal(ana), handle="bob", roles=frozenset())
    second = joining.invite_again(door.site, door.principal(ana), handle="bob")
    with pytest.raises(BrokenCodeError):
        joining.join(door.site, first, address=ADDRESS)
    door.enrol("bob", joining.join(door.site, second, address=ADDRESS))
    with pytest.raises(BrokenCodeError):
        joining.join(door.site, second, address=ADDRESS)
    with pytest.raises(NotFoundError):  # for members who joined there is recovery
        joining.invite_again(door.site, door.principal(ana), handle="bob")
    _, late = joining.invite_member(door.site, door.principal(ana), handle="eve", roles=frozenset())
    door.clock.now += 7 * 86_400
    with pytest.raises(BrokenCodeError):
        joining.join(door.site, late, address=ADDRESS)


def test_a_code_for_one_purpose_is_worth_nothing_for_another(door: FrontDoor) -> None:
    code = _setup_code(door)
    with pytest.raises(BrokenCodeError):
        joining.join(door.site, code, address=ADDRESS)
    ana = door.enrol("ana", _set_up(door, code))
    _, invitation = joining.invite_member(door.site, door.principal(ana), handle="bob", roles=frozenset())
    with pytest.raises(BrokenCodeError):
        _set_up(door, invitation, "eve", "office", Kind.DEPLOYMENT)


def test_nobody_is_let_in_without_a_complete_way(door: FrontDoor) -> None:
    value = _set_up(door, _setup_code(door))
    session_ = door.session(value)
    with pytest.raises(NoWayInError):
        joining.finish(door.site, door.member("ana"), value)
    credentials.set_new_password(door.site, door.member("ana"), "a lamp beside the window", session_id=session_.id)
    with pytest.raises(NoWayInError):
        joining.finish(door.site, door.member("ana"), value)
    credentials.begin_app(door.site, door.member("ana"))
    with pytest.raises(NoWayInError):
        joining.finish(door.site, door.member("ana"), value)


def test_the_last_way_in_is_not_removed(door: FrontDoor) -> None:
    ana = door.set_up()
    with door.site.reading() as connection:
        row = connection.execute(select(passkey)).one()
    session_ = door.session(ana.session)
    with pytest.raises(NoWayInError):
        credentials.remove_passkey(door.site, door.member("ana"), row.id, session_id=session_.id)
    assert door.sign_in(ana)
    door.give_password(ana)
    credentials.remove_passkey(door.site, door.member("ana"), row.id, session_id=door.session(ana.session).id)
    assert door.try_password(ana).member.handle == "ana"


def test_new_credentials_sign_out_everywhere_else(door: FrontDoor) -> None:
    ana = door.set_up()
    elsewhere = ana.session
    door.sign_in(ana)
    door.give_password(ana)
    with door.site.reading() as connection:
        assert find_session(connection, door.clock(), elsewhere) is None
    assert door.principal(ana).handle == "ana"


# --- recovery -----------------------------------------------------------------------------------------------------------------


def _three(door: FrontDoor) -> tuple[Person, Person, Person]:
    """Two stewards whom the founder invited, and a caseworker who will lose everything."""
    ola = door.set_up("ola")
    ana, ben = door.join(ola, "ana", Role.STEWARD), door.join(ola, "ben", Role.STEWARD)
    cleo = door.join(ola, "cleo", Role.CASEWORKER)
    door.settle(ana, ben, cleo)
    return ana, ben, cleo


def _approve(door: FrontDoor, person: Person, handle: str = "cleo") -> str:
    return recovery.approve_recovery(door.site, door.principal(person), handle)[0]


def test_two_people_let_a_third_back_in_and_everything_old_is_gone(either_door: FrontDoor) -> None:
    door = either_door
    ana, ben, cleo = _three(door)
    door.give_password(cleo)
    kept = door.try_password(cleo).device
    assert kept is not None
    principal = door.principal(cleo)
    with door.site.writing() as connection:
        _, chv = make_token(
            connection, door.clock(), principal, name="x", operations=frozenset({Operation.UPLOAD_CREATE}), days=9
        )
    halves = (_approve(door, ana), _approve(door, ben))
    value = recovery.recover(door.site, "cleo", halves, address=ADDRESS)
    whose = door.member("cleo").id
    with door.site.reading() as connection:
        for table in (password, totp, recovery_code, passkey, token, device):
            assert connection.execute(select(table).where(table.c.member == whose)).all() == [], table.name
        assert [row.kind for row in connection.execute(select(session).where(session.c.member == whose))] == [
            "enrolling"
        ]
    with pytest.raises(NotSignedInError):
        door.principal(cleo)
    with pytest.raises(NotSignedInError):
        door.bearer(chv)
    again = door.enrol("cleo", value)
    assert door.principal(again).roles == ("caseworker",)
    assert [action for action in door.actions() if action.startswith("recovery")] == [
        "recovery.approved",
        "recovery.approved",
        "recovery.used",
    ]


def test_every_event_has_the_form_that_the_audit_log_takes_and_no_secret(door: FrontDoor) -> None:
    ana, ben, cleo = _three(door)
    door.give_password(cleo)
    halves = (_approve(door, ana), _approve(door, ben))
    recovery.recover(door.site, "cleo", halves, address=ADDRESS)
    with door.site.reading() as connection:
        found = events.events_after(connection, 0)
    assert [event.id for event in found] == [*range(1, len(found) + 1)]
    for event in found:
        for word in (event.action, event.object_kind):
            assert re.fullmatch(r"[a-z][a-z0-9_.-]{0,59}", word)
        for text in (event.actor, event.object_id):
            assert re.fullmatch(r"[a-z0-9._:/-]{0,130}", text)


def test_halves_work_in_either_order_and_once(door: FrontDoor) -> None:
    ana, ben, _ = _three(door)
    one, other = _approve(door, ana), _approve(door, ben)
    assert recovery.recover(door.site, "cleo", (other, one), address=ADDRESS)
    with pytest.raises(BrokenCodeError):
        recovery.recover(door.site, "cleo", (one, other), address=ADDRESS)


def test_one_half_is_worth_nothing(door: FrontDoor) -> None:
    ana, ben, _ = _three(door)
    one = _approve(door, ana)
    for halves in ((one, one), (one, ""), (one, "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA")):
        with pytest.raises(BrokenCodeError):
            recovery.recover(door.site, "cleo", halves, address=ADDRESS)
    other = _approve(door, ben)
    for halves in ((one, one), (other, other)):
        with pytest.raises(BrokenCodeError):
            recovery.recover(door.site, "cleo", halves, address=ADDRESS)
    with pytest.raises(BrokenCodeError):
        recovery.recover(door.site, "ben", (one, other), address=ADDRESS)
    with pytest.raises(BrokenCodeError):
        recovery.recover(door.site, "nobody", (one, other), address=ADDRESS)
    assert recovery.recover(door.site, "cleo", (one, other), address=ADDRESS)


def test_the_same_person_cannot_approve_twice_or_for_themselves(door: FrontDoor) -> None:
    ana, ben, _ = _three(door)
    _approve(door, ana)
    with pytest.raises(RecoveryError):
        _approve(door, ana)
    with pytest.raises(RecoveryError):
        _approve(door, ben, "ben")


def test_whoever_may_not_approve_and_others_organisations_cannot(door: FrontDoor) -> None:
    _, _, cleo = _three(door)
    with pytest.raises(ForbiddenError):
        _approve(door, cleo, "ben")
    eve = door.found("eve", "south")
    for handle in ("cleo", "nobody"):
        with pytest.raises(NotFoundError):
            _approve(door, eve, handle)


def test_the_deployments_people_alone_open_no_organisations_account(door: FrontDoor) -> None:
    ana, _, _ = _three(door)
    olu = door.found("olu", "office", Kind.DEPLOYMENT)
    odo = door.join(olu, "odo", Role.PRIVACY_OFFICER)
    ida = door.join(olu, "ida", Role.PRIVACY_OFFICER)
    door.settle(ana, odo, ida)
    _approve(door, ida)
    with pytest.raises(RecoveryError, match="member's organisation"):
        _approve(door, odo)
    assert _approve(door, ana)  # with one of the organisation it goes


def test_approving_needs_a_fresh_second_factor(door: FrontDoor) -> None:
    ana, _, _ = _three(door)
    door.clock.now += 300
    with pytest.raises(StepUpNeededError):
        _approve(door, ana)


def test_a_recovery_ends_after_a_day_and_when_the_member_signs_in(door: FrontDoor) -> None:
    ana, ben, cleo = _three(door)
    halves = (_approve(door, ana), _approve(door, ben))
    door.clock.now += 86_400
    with pytest.raises(BrokenCodeError):
        recovery.recover(door.site, "cleo", halves, address=ADDRESS)
    door.sign_in(ana)
    door.sign_in(ben)
    halves = (_approve(door, ana), _approve(door, ben))
    door.sign_in(cleo)
    assert "recovery.ended" in door.actions()
    with pytest.raises(BrokenCodeError):
        recovery.recover(door.site, "cleo", halves, address=ADDRESS)


def test_an_approver_who_ended_meanwhile_does_not_count(door: FrontDoor) -> None:
    ana, ben, _ = _three(door)
    _approve(door, ben)
    joining.end_member(door.site, door.principal(ana), handle="ben")
    with pytest.raises(RecoveryError):
        _approve(door, ana)


def test_an_officer_and_the_account_that_they_made_for_it_are_one_person(door: FrontDoor) -> None:
    """Neither the next day nor a week later, nor through a third account."""
    ola = door.set_up("ola")
    pia = door.join(ola, "pia", Role.PRIVACY_OFFICER)
    sam = door.join(ola, "sam", Role.STEWARD)
    puppet = door.join(pia, "puppet", Role.PRIVACY_OFFICER)
    door.sign_in(puppet)
    third = door.join(puppet, "third", Role.PRIVACY_OFFICER)
    with pytest.raises(RecoveryError, match="7 days"):
        _approve(door, pia, "sam")
    door.settle(pia, sam, puppet, third)
    for one, other in ((pia, third), (puppet, pia)):
        _approve(door, one, "sam")
        with pytest.raises(RecoveryError, match="directly or in a chain"):
            _approve(door, other, "sam")
        door.clock.now += 86_400
        for each in (pia, sam, puppet, third):
            door.sign_in(each)


def test_two_who_could_not_give_the_members_roles_open_nothing(door: FrontDoor) -> None:
    """Two privacy officers whom one made, both old enough and neither made by the other: still no steward's account."""
    ola = door.set_up("ola")
    pia, sam = door.join(ola, "pia", Role.PRIVACY_OFFICER), door.join(ola, "sam", Role.STEWARD)
    assert door.principal(sam).roles == ("steward",)
    puppets = door.join(pia, "p1", Role.PRIVACY_OFFICER), door.join(pia, "p2", Role.PRIVACY_OFFICER)
    door.settle(*puppets)
    _approve(door, puppets[0], "sam")
    with pytest.raises(RecoveryError, match="every role"):
        _approve(door, puppets[1], "sam")
    with door.site.reading() as connection:
        assert independence.behind(connection, "p1") == {"pia", "ola"}


def test_an_approver_joined_a_week_before_the_recovery_began(door: FrontDoor) -> None:
    ana, _, _ = _three(door)
    zoe = door.join(ana, "zoe", Role.STEWARD)
    with pytest.raises(RecoveryError, match="7 days"):
        _approve(door, zoe)


def test_a_role_that_one_gave_the_other_and_took_away_again_counts(door: FrontDoor) -> None:
    ana, ben, _ = _three(door)
    with door.site.writing() as connection:
        members.grant_role(connection, door.clock(), door.principal(ana), handle="ben", role=Role.RESEARCHER)
        members.revoke_role(connection, door.clock(), door.principal(ana), handle="ben", role=Role.RESEARCHER)
    _approve(door, ana)
    with pytest.raises(RecoveryError, match="directly or in a chain"):
        _approve(door, ben)


def test_whoever_lost_the_right_before_the_second_approval_does_not_count(door: FrontDoor) -> None:
    ana, ben, _ = _three(door)
    _approve(door, ben)
    with door.site.writing() as connection:
        members.revoke_role(connection, door.clock(), door.principal(ana), handle="ben", role=Role.STEWARD)
    with pytest.raises(RecoveryError, match="until the second"):
        _approve(door, ana)


def test_a_privacy_officer_gets_no_code_for_a_steward_who_has_not_joined(door: FrontDoor) -> None:
    ola = door.set_up("ola")
    pia = door.join(ola, "pia", Role.PRIVACY_OFFICER)
    joining.invite_member(door.site, door.principal(ola), handle="sam", roles=frozenset({Role.STEWARD}))
    with pytest.raises(GrantBeyondRightsError):
        joining.invite_again(door.site, door.principal(pia), handle="sam")
    assert joining.invite_again(door.site, door.principal(ola), handle="sam")
