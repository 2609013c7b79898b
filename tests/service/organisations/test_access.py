"""What `require` lets through, row by row, and what each role can and cannot do."""

from __future__ import annotations

import itertools

import pytest

from casehaven.core.job_kinds import KINDS
from casehaven.organisations.access import (
    DEPLOYMENT,
    NO_STEP_UP,
    STEP_UP,
    Operation,
    Principal,
    Reach,
    Right,
    allowed,
    require,
)
from casehaven.organisations.errors import ForbiddenError, NotFoundError, StepUpNeededError
from casehaven.organisations.roles import RIGHTS, Kind, Role, founding_roles, may_give, rights_of
from casehaven.worker.standing import OPERATIONS, SERVICE_KINDS

ORGANISATIONS = ("north", "south", DEPLOYMENT)
CASES = {
    Operation.UPLOAD_CREATE,
    Operation.UPLOAD_READ,
    Operation.UPLOAD_COMMIT,
    Operation.PERSON_FIND,
    Operation.PERSON_SHOW,
    Operation.PERSON_CORRECT,
    Operation.PERSON_CONSENT,
    Operation.PERSON_EXPORT,
    Operation.PERSON_ERASE,
    Operation.PERSON_RETAIN,
    Operation.PERSON_COMPARE,
    Operation.DATASET_STATUS,
    Operation.STATISTICS_READ,
    Operation.QUESTION_QUOTE,
    Operation.QUESTION_ASK,
    Operation.ANSWER_LIST,
    Operation.RELEASE_RUN,
    Operation.DATASET_GRANT,
    Operation.KEY_ROTATE,
}
"""What touches case records, or noise over them."""


def principal(
    *rights: Right, organisation: str = "north", datasets: tuple[str, ...] = (), stepped_up: bool = True
) -> Principal:
    return Principal(
        member_id="m",
        handle="ana",
        organisation=organisation,
        roles=(),
        rights=frozenset(rights),
        datasets=frozenset(datasets),
        session_id="s",
        token_id=None,
        stepped_up=stepped_up,
        session_key=bytes(32),
    )


def _outcome(who: Principal, operation: Operation, organisation: str | None, dataset: str | None = None) -> str:
    try:
        require(who, operation, organisation, dataset=dataset)
    except (ForbiddenError, NotFoundError, StepUpNeededError) as error:
        return type(error).__name__
    return "allowed"


ASK, SHOW = Operation.QUESTION_ASK, Operation.PERSON_SHOW
TABLE = [
    # reach of the right, whose object, dataset, what happens
    (None, "north", None, "ForbiddenError"),
    (None, "south", None, "NotFoundError"),
    (None, "nowhere", None, "NotFoundError"),
    (None, DEPLOYMENT, None, "ForbiddenError"),
    (None, None, None, "ForbiddenError"),
    (Reach.OWN, "north", None, "allowed"),
    (Reach.OWN, "north", "cases", "allowed"),
    (Reach.OWN, "south", None, "NotFoundError"),
    (Reach.OWN, "nowhere", None, "NotFoundError"),
    (Reach.OWN, "south", "cases", "NotFoundError"),
    (Reach.OWN, DEPLOYMENT, None, "ForbiddenError"),
    (Reach.OWN, None, None, "allowed"),
    (Reach.GRANTED, "north", "cases", "ForbiddenError"),
    (Reach.GRANTED, "south", "cases", "allowed"),
    (Reach.GRANTED, "south", "others", "NotFoundError"),
    (Reach.GRANTED, "south", None, "NotFoundError"),
    (Reach.GRANTED, None, None, "allowed"),
    (Reach.DEPLOYMENT, "north", None, "allowed"),
    (Reach.DEPLOYMENT, "south", "cases", "allowed"),
    (Reach.DEPLOYMENT, DEPLOYMENT, None, "allowed"),
]


@pytest.mark.parametrize(("reach", "organisation", "dataset", "expected"), TABLE)
def test_a_right_reaches_as_far_as_the_table_says(
    reach: Reach | None, organisation: str | None, dataset: str | None, expected: str
) -> None:
    rights = () if reach is None else (Right(operation=ASK, reach=reach),)
    who = principal(*rights, datasets=("south/cases",))
    assert _outcome(who, ASK, organisation, dataset) == expected
    assert allowed(who, ASK, organisation, dataset=dataset) == (expected == "allowed")


def test_a_grant_without_the_role_gives_nothing_and_a_right_covers_its_operation_only() -> None:
    for operation in set(Operation) - {ASK}:
        who = principal(Right(operation=ASK, reach=Reach.GRANTED), datasets=("south/cases",))
        assert _outcome(who, operation, "south", "cases") == "NotFoundError"
    assert _outcome(principal(datasets=("south/cases",)), ASK, "south", "cases") == "NotFoundError"


def test_what_belongs_to_others_and_what_is_not_there_are_refused_with_the_same_words() -> None:
    messages = set()
    for organisation in ("south", "nowhere"):
        with pytest.raises(NotFoundError) as caught:
            require(principal(), ASK, organisation)
        messages.add((str(caught.value), caught.value.args))
    assert len(messages) == 1


def test_a_second_factor_is_asked_for_after_the_right_and_for_nothing_else() -> None:
    for operation in Operation:
        tired = principal(Right(operation=operation, reach=Reach.OWN), stepped_up=False)
        assert _outcome(tired, operation, "north") == ("StepUpNeededError" if operation in STEP_UP else "allowed")
        assert _outcome(tired, operation, "south") == "NotFoundError"


def test_decrypting_exporting_approving_and_changing_keys_and_roles_need_a_second_factor() -> None:
    assert {
        Operation.PERSON_SHOW,
        Operation.PERSON_EXPORT,
        Operation.PERSON_ERASE,
        Operation.PERSON_RETAIN,
        Operation.PERSON_COMPARE,
        Operation.STATISTICS_READ,
        Operation.RELEASE_RUN,
        Operation.RELEASE_APPROVE,
        Operation.BUDGET_APPROVE,
        Operation.RECOVERY_APPROVE,
        Operation.KEY_ROTATE,
        Operation.ROLE_GRANT,
        Operation.MEMBER_INVITE,
        Operation.MEMBER_END,
        Operation.TOKEN_MAKE,
        Operation.DATASET_GRANT,
        Operation.ORGANISATION_CREATE,
    } <= STEP_UP


def test_every_job_with_the_keys_needs_a_second_factor_or_says_why_not() -> None:
    assert set(OPERATIONS) | SERVICE_KINDS == set(KINDS)
    assert set(OPERATIONS.values()) <= STEP_UP | set(NO_STEP_UP)
    assert not STEP_UP & set(NO_STEP_UP)
    assert all(len(reason) > 10 for reason in NO_STEP_UP.values())


def test_what_shows_a_stored_record_or_what_was_written_about_one_needs_a_second_factor() -> None:
    assert {
        Operation.PERSON_SHOW,
        Operation.PERSON_CORRECT,
        Operation.PERSON_EXPORT,
        Operation.STATISTICS_READ,
        Operation.AUDIT_REPORT,
    } <= STEP_UP
    private = {OPERATIONS[name] for name, kind in KINDS.items() if kind.private}
    assert private - STEP_UP <= {
        Operation.UPLOAD_READ,
        Operation.UPLOAD_COMMIT,
        Operation.PERSON_FIND,
        Operation.PERSON_CONSENT,
        Operation.DATASET_STATUS,
    }


# --- roles --------------------------------------------------------------------------------------------------------------------


def _holder(kind: Kind, *roles: Role) -> Principal:
    return principal(*rights_of(kind, frozenset(roles)), datasets=("south/cases",))


def test_nobody_of_the_deployment_touches_case_data() -> None:
    for roles in ((Role.OPERATOR,), (Role.PRIVACY_OFFICER,), (Role.OPERATOR, Role.PRIVACY_OFFICER)):
        who = _holder(Kind.DEPLOYMENT, *roles)
        for operation, organisation, dataset in itertools.product(CASES, ORGANISATIONS, (None, "cases")):
            assert not who.reaches(operation, organisation, dataset), (roles, operation)


@pytest.mark.parametrize("kind", [Kind.RESEARCH, Kind.POLICY])
def test_an_organisation_without_datasets_has_nobody_who_works_on_cases(kind: Kind) -> None:
    who = _holder(kind, *RIGHTS[kind])
    for operation in CASES - {Operation.QUESTION_QUOTE, Operation.QUESTION_ASK, Operation.ANSWER_LIST}:
        assert not who.holds(operation), operation
    for operation in (Operation.QUESTION_QUOTE, Operation.QUESTION_ASK, Operation.ANSWER_LIST):
        assert not who.reaches(operation, "north", "cases")
        assert not who.reaches(operation, "south", "others")


def test_only_privacy_officers_approve_and_only_operators_found_organisations() -> None:
    for kind, roles in RIGHTS.items():
        for role, rights in roles.items():
            operations = {right.operation for right in rights}
            assert (Operation.RELEASE_APPROVE in operations) == (role is Role.PRIVACY_OFFICER), (kind, role)
            assert (Operation.BUDGET_APPROVE in operations) == (role is Role.PRIVACY_OFFICER), (kind, role)
            assert (Operation.ORGANISATION_CREATE in operations) == (role is Role.OPERATOR), (kind, role)


def test_caseworkers_do_not_export_erase_commit_ask_or_manage() -> None:
    who = _holder(Kind.NGO, Role.CASEWORKER)
    assert who.reaches(Operation.PERSON_SHOW, "north")
    for operation in (
        Operation.PERSON_EXPORT,
        Operation.PERSON_ERASE,
        Operation.UPLOAD_COMMIT,
        Operation.QUESTION_ASK,
        Operation.MEMBER_INVITE,
        Operation.ROLE_GRANT,
        Operation.BUDGET_ALLOW,
        Operation.AUDIT_REPORT,
    ):
        assert not who.holds(operation), operation


def test_a_policymaker_reads_what_was_published_and_nothing_else() -> None:
    who = _holder(Kind.POLICY, Role.POLICYMAKER)
    assert {right.operation for right in who.rights} == {
        Operation.RELEASE_LIST,
        Operation.RELEASE_DOWNLOAD,
        Operation.ORGANISATION_READ,
        Operation.PRINCIPAL_READ,
        Operation.TOKEN_LIST,
        Operation.TOKEN_MAKE,
        Operation.TOKEN_REVOKE,
    }


def test_who_can_give_which_role_in_their_own_organisation() -> None:
    gives = {
        (kind, giver): {role for role in RIGHTS[kind] if may_give(_holder(kind, giver), kind, "north", role)}
        for kind in Kind
        for giver in RIGHTS[kind]
    }
    assert gives[Kind.NGO, Role.STEWARD] == {Role.STEWARD, Role.CASEWORKER, Role.RESEARCHER, Role.POLICYMAKER}
    assert gives[Kind.NGO, Role.PRIVACY_OFFICER] == {Role.PRIVACY_OFFICER, Role.POLICYMAKER}
    assert gives[Kind.RESEARCH, Role.STEWARD] == {Role.STEWARD, Role.RESEARCHER}
    assert gives[Kind.POLICY, Role.STEWARD] == {Role.STEWARD, Role.POLICYMAKER}
    assert gives[Kind.DEPLOYMENT, Role.OPERATOR] == {Role.OPERATOR}
    assert gives[Kind.DEPLOYMENT, Role.PRIVACY_OFFICER] == {Role.PRIVACY_OFFICER}
    for giver in (Role.CASEWORKER, Role.RESEARCHER, Role.POLICYMAKER):
        assert gives[Kind.NGO, giver] == set()


def test_the_founding_roles_can_give_every_role_of_their_kind() -> None:
    for kind in Kind:
        founder = _holder(kind, *founding_roles(kind))
        assert all(may_give(founder, kind, "north", role) for role in RIGHTS[kind])


def test_whoever_could_grant_roles_everywhere_would_give_only_what_they_hold_everywhere() -> None:
    """No role has such a right; the rule holds all the same."""
    everywhere = Right(operation=Operation.ROLE_GRANT, reach=Reach.DEPLOYMENT)
    giver = principal(*rights_of(Kind.NGO, frozenset(RIGHTS[Kind.NGO])), everywhere, organisation="office")
    for role in set(RIGHTS[Kind.NGO]):
        assert may_give(giver, Kind.NGO, "office", role)
        assert not may_give(giver, Kind.NGO, "north", role), role


def test_nobody_gives_a_role_in_another_organisation() -> None:
    for kind, other in itertools.product(Kind, Kind):
        giver = _holder(kind, *RIGHTS[kind])
        for role in RIGHTS[other]:
            assert not may_give(giver, other, "south", role), (kind, other, role)
