"""Roles: named sets of rights, and which of them the members of an organisation of each kind may have.

1. A role is a set of rights (operation within a reach). There is no right without a role, and no role beside these.
2. Which roles there are depends on the kind of the organisation: one without datasets has nobody who works on cases.
3. Nobody with a role of the deployment sees case data: neither operator nor privacy officer can send, open, correct, export or ask.
4. A steward's rights include those of caseworkers, researchers and policymakers, so that a steward can give them. Those of a privacy officer are apart:
   only a privacy officer makes another one.
5. The founding member of an organisation is its steward and its privacy officer, so that every right on it begins with somebody; the founding member of
   the deployment is its operator and its privacy officer.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from casehaven.organisations.access import Operation as Op
from casehaven.organisations.access import Principal, Reach, Right


class Kind(StrEnum):
    """What an organisation is here for."""

    NGO = "ngo"
    """Holds case records; the only kind with datasets."""
    RESEARCH = "research"
    """Asks about datasets that were granted to its members."""
    POLICY = "policy"
    """Reads what was published."""
    DEPLOYMENT = "deployment"
    """Runs the service; there is one."""


class Role(StrEnum):
    """What a member may do, in a word."""

    CASEWORKER = "caseworker"
    STEWARD = "steward"
    RESEARCHER = "researcher"
    POLICYMAKER = "policymaker"
    PRIVACY_OFFICER = "privacy_officer"
    OPERATOR = "operator"


KEPT: Final = frozenset({Role.STEWARD, Role.PRIVACY_OFFICER, Role.OPERATOR})
"""Roles whose last active holder in an organisation stays."""


def _rights(reach: Reach, *operations: Op) -> frozenset[Right]:
    return frozenset(Right(operation=operation, reach=reach) for operation in operations)


_EVERYBODY = _rights(
    Reach.OWN, Op.ORGANISATION_READ, Op.PRINCIPAL_READ, Op.TOKEN_MAKE, Op.TOKEN_LIST, Op.TOKEN_REVOKE
) | _rights(Reach.DEPLOYMENT, Op.RELEASE_LIST, Op.RELEASE_DOWNLOAD)
_POLICYMAKER = _EVERYBODY
_RESEARCHER = (
    _EVERYBODY
    | _rights(Reach.GRANTED, Op.DATASET_LIST, Op.QUESTION_QUOTE, Op.QUESTION_ASK, Op.ANSWER_LIST, Op.BUDGET_READ)
    | _rights(Reach.OWN, Op.JOB_READ, Op.JOB_CANCEL)
)
_CASEWORKER = _EVERYBODY | _rights(
    Reach.OWN,
    Op.DATASET_LIST,
    Op.UPLOAD_CREATE,
    Op.UPLOAD_READ,
    Op.PERSON_FIND,
    Op.PERSON_SHOW,
    Op.PERSON_CORRECT,
    Op.PERSON_CONSENT,
    Op.JOB_READ,
    Op.JOB_CANCEL,
)
_MANAGES = _rights(Reach.OWN, Op.MEMBER_READ, Op.MEMBER_INVITE, Op.MEMBER_END, Op.ROLE_GRANT)
_STEWARD_WITHOUT_CASES = _MANAGES | _RESEARCHER | _POLICYMAKER | _rights(Reach.OWN, Op.RECOVERY_APPROVE)
_STEWARD = (
    _STEWARD_WITHOUT_CASES
    | _CASEWORKER
    | _rights(
        Reach.OWN,
        Op.KEY_READ,
        Op.KEY_ROTATE,
        Op.DATASET_CREATE,
        Op.DATASET_STATUS,
        Op.GRANT_LIST,
        Op.DATASET_GRANT,
        Op.UPLOAD_COMMIT,
        Op.PERSON_EXPORT,
        Op.PERSON_ERASE,
        Op.PERSON_RETAIN,
        Op.PERSON_COMPARE,
        Op.STATISTICS_READ,
        Op.QUESTION_QUOTE,
        Op.QUESTION_ASK,
        Op.ANSWER_LIST,
        Op.RELEASE_PLAN,
        Op.RELEASE_REVIEW,
        Op.RELEASE_SIGN,
        Op.RELEASE_RUN,
        Op.AUDIT_VERIFY,
        Op.AUDIT_REPORT,
        Op.EVENT_READ,
        Op.VOLUME_APPROVE,
        Op.BUDGET_READ,
        Op.BUDGET_ALLOW,
        Op.BUDGET_PROPOSE,
        Op.AGREEMENT_LIST,
        Op.AGREEMENT_PROPOSE,
        Op.AGREEMENT_SIGN,
        Op.AGREEMENT_REVOKE,
        Op.AGREEMENT_USAGE,
    )
)
_WATCHES = (
    Op.MEMBER_READ,
    Op.RECOVERY_APPROVE,
    Op.DATASET_LIST,
    Op.GRANT_LIST,
    Op.BUDGET_READ,
    Op.BUDGET_PROPOSE,
    Op.BUDGET_APPROVE,
    Op.RELEASE_REVIEW,
    Op.RELEASE_SIGN,
    Op.RELEASE_APPROVE,
    Op.AUDIT_VERIFY,
    Op.AUDIT_REPORT,
    Op.EVENT_READ,
    Op.VOLUME_APPROVE,
    Op.AGREEMENT_LIST,
    Op.AGREEMENT_USAGE,
)
_OFFICER = _EVERYBODY | _MANAGES | _rights(Reach.OWN, *_WATCHES, Op.JOB_READ)
_OFFICER_OF_DEPLOYMENT = (
    _EVERYBODY | _MANAGES | _rights(Reach.DEPLOYMENT, *_WATCHES, Op.ORGANISATION_READ) | _rights(Reach.OWN, Op.JOB_READ)
)
_OPERATOR = (
    _EVERYBODY
    | _MANAGES
    | _rights(Reach.OWN, Op.RECOVERY_APPROVE)
    | _rights(Reach.DEPLOYMENT, Op.ORGANISATION_READ, Op.ORGANISATION_CREATE, Op.SERVICE_STATUS)
)

RIGHTS: Final[dict[Kind, dict[Role, frozenset[Right]]]] = {
    Kind.NGO: {
        Role.CASEWORKER: _CASEWORKER,
        Role.STEWARD: _STEWARD,
        Role.RESEARCHER: _RESEARCHER,
        Role.POLICYMAKER: _POLICYMAKER,
        Role.PRIVACY_OFFICER: _OFFICER,
    },
    Kind.RESEARCH: {
        Role.STEWARD: _STEWARD_WITHOUT_CASES,
        Role.RESEARCHER: _RESEARCHER,
        Role.PRIVACY_OFFICER: _OFFICER,
    },
    Kind.POLICY: {
        Role.STEWARD: _STEWARD_WITHOUT_CASES,
        Role.POLICYMAKER: _POLICYMAKER,
        Role.PRIVACY_OFFICER: _OFFICER,
    },
    Kind.DEPLOYMENT: {
        Role.OPERATOR: _OPERATOR,
        Role.PRIVACY_OFFICER: _OFFICER_OF_DEPLOYMENT,
    },
}
"""Kind of organisation, role, and what it gives."""


def founding_roles(kind: Kind) -> frozenset[Role]:
    """Return what the first member of an organisation is (rule 5)."""
    return frozenset({Role.OPERATOR if kind is Kind.DEPLOYMENT else Role.STEWARD, Role.PRIVACY_OFFICER})


def rights_of(kind: Kind, roles: frozenset[Role]) -> frozenset[Right]:
    """Return the union of what roles give to a member of an organisation of a kind.

    >>> rights_of(Kind.NGO, frozenset())
    frozenset()
    """
    return frozenset().union(*(RIGHTS[kind][role] for role in roles))


def may_give(giver: Principal, kind: Kind, organisation: str, role: Role) -> bool:
    """Tell whether somebody may give a role, or take it away: they may grant roles there and hold every right of it, at least as far.

    Args:
        giver: with their rights of today.
        kind: of the organisation.
        organisation: its name.
        role: one that the kind has.
    """
    return giver.reaches(Op.ROLE_GRANT, organisation) and all(
        _holds(giver, right, organisation) for right in RIGHTS[kind][role]
    )


def _holds(giver: Principal, right: Right, organisation: str) -> bool:
    """Whether the giver's own right reaches at least as far as this right would in the hands of a member of the organisation."""
    if Right(operation=right.operation, reach=Reach.DEPLOYMENT) in giver.rights:
        return True
    if right.reach is Reach.OWN and organisation != giver.organisation:
        return False
    return right in giver.rights
