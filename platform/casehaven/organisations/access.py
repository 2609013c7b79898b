"""Access: who may do what, with whose objects. Whatever is not allowed here is refused.

1. A *right* is an operation within a reach. An operation is a verb on a kind of thing (`people.read`). The reach says on whose things: those of the
   holder's own organisation, those of datasets that were granted to the holder by name, or those of the whole deployment.
2. Default deny: `require` returns only when a right of the principal covers the operation on the object's organisation.
3. An object of another organisation, and one that is not there, are refused alike: `NotFoundError`, with one fixed message. Only within the own
   organisation does `ForbiddenError` say that a right is missing.
4. What decrypts, exports, approves, or changes keys, roles or credentials also needs a second factor that is at most five minutes old.
   A token has no second factor, so it can do none of this.
5. A token has the rights of its holder as they are today, cut down to the operations that it was made for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

from casehaven.organisations.errors import ForbiddenError, NotFoundError, StepUpNeededError

DEPLOYMENT: Final = ""
"""In the place of an organisation's name: the object belongs to the deployment as a whole."""

STEP_UP_SECONDS: Final = 300
"""How long a second factor counts as fresh (rule 4)."""


class Operation(StrEnum):
    """A verb on a kind of thing."""

    ORGANISATIONS_READ = "organisations.read"
    ORGANISATIONS_CREATE = "organisations.create"
    MEMBERS_READ = "members.read"
    MEMBERS_INVITE = "members.invite"
    MEMBERS_END = "members.end"
    ROLES_GRANT = "roles.grant"
    RECOVERY_APPROVE = "recovery.approve"
    TOKENS_MAKE = "tokens.make"
    KEYS_READ = "keys.read"
    KEYS_ROTATE = "keys.rotate"
    DATASETS_READ = "datasets.read"
    DATASETS_CREATE = "datasets.create"
    GRANTS_READ = "grants.read"
    GRANTS_MAKE = "grants.make"
    UPLOADS_SEND = "uploads.send"
    UPLOADS_READ = "uploads.read"
    UPLOADS_COMMIT = "uploads.commit"
    PEOPLE_FIND = "people.find"
    PEOPLE_READ = "people.read"
    PEOPLE_CORRECT = "people.correct"
    PEOPLE_CONSENT = "people.consent"
    PEOPLE_EXPORT = "people.export"
    PEOPLE_ERASE = "people.erase"
    STATISTICS_READ = "statistics.read"
    QUERIES_QUOTE = "queries.quote"
    QUERIES_ASK = "queries.ask"
    ANSWERS_READ = "answers.read"
    RELEASES_READ = "releases.read"
    RELEASES_MAKE = "releases.make"
    RELEASES_APPROVE = "releases.approve"
    BUDGETS_READ = "budgets.read"
    BUDGETS_ALLOW = "budgets.allow"
    BUDGETS_APPROVE = "budgets.approve"
    AUDIT_READ = "audit.read"
    JOBS_READ = "jobs.read"
    JOBS_CANCEL = "jobs.cancel"
    SERVICE_OPERATE = "service.operate"

    @property
    def resource(self) -> str:
        """The kind of thing.

        >>> Operation.PEOPLE_READ.resource
        'people'
        """
        return self.value.partition(".")[0]


STEP_UP: Final = frozenset(
    {
        Operation.MEMBERS_INVITE,
        Operation.MEMBERS_END,
        Operation.ROLES_GRANT,
        Operation.RECOVERY_APPROVE,
        Operation.TOKENS_MAKE,
        Operation.KEYS_ROTATE,
        Operation.GRANTS_MAKE,
        Operation.PEOPLE_READ,
        Operation.PEOPLE_CORRECT,
        Operation.PEOPLE_EXPORT,
        Operation.PEOPLE_ERASE,
        Operation.RELEASES_APPROVE,
        Operation.BUDGETS_ALLOW,
        Operation.BUDGETS_APPROVE,
        Operation.ORGANISATIONS_CREATE,
    }
)
"""Operations of rule 4."""


class Reach(StrEnum):
    """On whose things a right holds."""

    OWN = "own"
    """Of the holder's organisation."""
    GRANTED = "granted"
    """Of the datasets that a steward granted to the holder by name."""
    DEPLOYMENT = "deployment"
    """Of every organisation, and of the deployment itself."""


@dataclass(frozen=True, kw_only=True, order=True)
class Right:
    """An operation within a reach (rule 1)."""

    operation: Operation
    reach: Reach


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who asks: a member, signed in with a session or standing behind a token."""

    member: str
    """The member's handle; unique in the deployment, never given to another member."""
    organisation: str
    """The name of the member's organisation."""
    roles: tuple[str, ...]
    """The names of the member's roles, sorted."""
    rights: frozenset[Right]
    """What the roles give, cut down to the token's operations where a token is used (rule 5)."""
    datasets: frozenset[str]
    """The datasets that were granted to the member, as `organisation/dataset`."""
    via: Literal["session", "token"]
    """How the member is known."""
    credential: str
    """A public name of the session or token; it opens nothing."""
    stepped_up: bool
    """Whether a second factor was given within the last five minutes (rule 4)."""
    session_key: bytes | None = field(default=None, repr=False)
    """32 bytes that only the holder of this session's cookie can bring again; None for a token."""

    def reaches(self, operation: Operation, organisation: str, dataset: str | None = None) -> bool:
        """Tell whether a right covers an operation on an object, without regard to step-up.

        Args:
            operation: what is to be done.
            organisation: whose object it is, or `DEPLOYMENT`.
            dataset: the dataset's name within the organisation where the object belongs to one.
        """
        if Right(operation=operation, reach=Reach.DEPLOYMENT) in self.rights:
            return True
        if organisation == DEPLOYMENT:
            return False
        if organisation == self.organisation and Right(operation=operation, reach=Reach.OWN) in self.rights:
            return True
        return (
            dataset is not None
            and f"{organisation}/{dataset}" in self.datasets
            and Right(operation=operation, reach=Reach.GRANTED) in self.rights
        )


def require(
    principal: Principal, operation: Operation, organisation: str | None, *, dataset: str | None = None
) -> None:
    """Return when the principal may do this now; raise otherwise.

    Args:
        principal: who asks.
        operation: what is to be done.
        organisation: whose object it is; `DEPLOYMENT` for one of the deployment; None when there is no such object.
        dataset: the dataset's name within the organisation where the object belongs to one.

    Raises:
        NotFoundError: there is no such object, or it belongs to others (rule 3).
        ForbiddenError: it belongs to the principal's organisation, or to the deployment, and no right covers this.
        StepUpNeededError: a right covers it, and a fresh second factor is missing (rule 4).
    """
    if organisation is None:
        raise NotFoundError
    if not principal.reaches(operation, organisation, dataset):
        if organisation in (principal.organisation, DEPLOYMENT):
            raise ForbiddenError
        raise NotFoundError
    if operation in STEP_UP and not principal.stepped_up:
        raise StepUpNeededError
