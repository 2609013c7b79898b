"""Access: who may do what, with whose objects. Whatever is not allowed here is refused.

1. A *right* is an operation within a reach. An operation is a verb on a kind of thing (`person.show`). The reach says on whose things: those of the
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
from typing import Final

from casehaven.organisations.errors import ForbiddenError, NotFoundError, StepUpNeededError

DEPLOYMENT: Final = ""
"""In the place of an organisation's name: the object belongs to the deployment as a whole."""

STEP_UP_SECONDS: Final = 300
"""How long a second factor counts as fresh (rule 4)."""


class Operation(StrEnum):
    """A verb on a kind of thing."""

    ORGANISATION_READ = "organisation.read"
    ORGANISATION_CREATE = "organisation.create"
    MEMBER_READ = "member.read"
    MEMBER_INVITE = "member.invite"
    MEMBER_END = "member.end"
    ROLE_GRANT = "role.grant"
    RECOVERY_APPROVE = "recovery.approve"
    TOKEN_MAKE = "token.make"
    TOKEN_LIST = "token.list"
    TOKEN_REVOKE = "token.revoke"
    PRINCIPAL_READ = "principal.read"
    KEY_READ = "key.read"
    KEY_ROTATE = "key.rotate"
    DATASET_LIST = "dataset.list"
    DATASET_CREATE = "dataset.create"
    DATASET_STATUS = "dataset.status"
    GRANT_LIST = "grant.list"
    DATASET_GRANT = "dataset.grant"
    UPLOAD_CREATE = "upload.create"
    UPLOAD_READ = "upload.read"
    UPLOAD_COMMIT = "upload.commit"
    PERSON_FIND = "person.find"
    PERSON_SHOW = "person.show"
    PERSON_CORRECT = "person.correct"
    PERSON_CONSENT = "person.consent"
    PERSON_EXPORT = "person.export"
    PERSON_ERASE = "person.erase"
    PERSON_RETAIN = "person.retain"
    PERSON_COMPARE = "person.compare"
    STATISTICS_READ = "statistics.read"
    QUESTION_QUOTE = "question.quote"
    QUESTION_ASK = "question.ask"
    ANSWER_LIST = "answer.list"
    RELEASE_LIST = "release.list"
    RELEASE_DOWNLOAD = "release.download"
    RELEASE_PLAN = "release.plan"
    RELEASE_REVIEW = "release.review"
    RELEASE_SIGN = "release.sign"
    RELEASE_RUN = "release.run"
    RELEASE_APPROVE = "release.approve"
    BUDGET_READ = "budget.read"
    BUDGET_ALLOW = "budget.allow"
    BUDGET_PROPOSE = "budget.propose"
    BUDGET_APPROVE = "budget.approve"
    AGREEMENT_LIST = "agreement.list"
    AGREEMENT_PROPOSE = "agreement.propose"
    AGREEMENT_SIGN = "agreement.sign"
    AGREEMENT_REVOKE = "agreement.revoke"
    AGREEMENT_USAGE = "agreement.usage"
    AUDIT_VERIFY = "audit.verify"
    AUDIT_REPORT = "audit.report"
    EVENT_READ = "event.read"
    VOLUME_APPROVE = "volume.approve"
    JOB_READ = "job.read"
    JOB_CANCEL = "job.cancel"
    SERVICE_STATUS = "service.status"

    @property
    def resource(self) -> str:
        """The kind of thing.

        >>> Operation.PERSON_SHOW.resource
        'person'
        """
        return self.value.partition(".")[0]


STEP_UP: Final = frozenset(
    {
        Operation.MEMBER_INVITE,
        Operation.MEMBER_END,
        Operation.ROLE_GRANT,
        Operation.RECOVERY_APPROVE,
        Operation.TOKEN_MAKE,
        Operation.KEY_ROTATE,
        Operation.DATASET_GRANT,
        Operation.PERSON_SHOW,
        Operation.PERSON_CORRECT,
        Operation.PERSON_EXPORT,
        Operation.PERSON_ERASE,
        Operation.PERSON_RETAIN,
        Operation.PERSON_COMPARE,
        Operation.STATISTICS_READ,
        Operation.RELEASE_SIGN,
        Operation.RELEASE_RUN,
        Operation.RELEASE_APPROVE,
        Operation.BUDGET_ALLOW,
        Operation.BUDGET_APPROVE,
        Operation.ORGANISATION_CREATE,
        Operation.AGREEMENT_SIGN,
        Operation.AGREEMENT_REVOKE,
        Operation.AUDIT_REPORT,
        Operation.VOLUME_APPROVE,
    }
)
"""Operations of rule 4."""

NO_STEP_UP: Final = {
    Operation.DATASET_CREATE: "makes an empty dataset and opens no record",
    Operation.DATASET_STATUS: "counts rows for the organisation itself and opens no record",
    Operation.UPLOAD_READ: "opens a file that came in within the last day, for whoever sent it; for a colleague's file the route asks for a second factor",
    Operation.UPLOAD_COMMIT: "seals a file's rows and tells of them as above; opens no stored record",
    Operation.PERSON_FIND: "says whether somebody is there, under a reference that the asker knows, with a reason in the audit log",
    Operation.PERSON_CONSENT: "adds what a person said and shows nothing of the person",
    Operation.QUESTION_QUOTE: "reads public facts and the ledger",
    Operation.QUESTION_ASK: "shows protected numbers alone, charged first",
    Operation.ANSWER_LIST: "shows protected numbers that were shown before",
    Operation.RELEASE_PLAN: "reads public facts",
    Operation.BUDGET_READ: "reads the ledger",
    Operation.BUDGET_PROPOSE: "draws up a request that raises nothing",
    Operation.AUDIT_VERIFY: "says whether the log is whole, and opens no reason",
}
"""Operations that the worker does with the keys and that ask for no second factor, each with its reason. Every job's operation is here or in `STEP_UP`."""


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

    member_id: str
    """The member's row."""
    handle: str
    """The member's name, in the ledger and the audit log too; unique in the deployment, never given to another member."""
    organisation: str
    """The name of the member's organisation."""
    roles: tuple[str, ...]
    """The names of the member's roles, sorted."""
    rights: frozenset[Right]
    """What the roles give, cut down to the token's operations where a token is used (rule 5)."""
    datasets: frozenset[str]
    """The datasets that were granted to the member, as `organisation/dataset`."""
    session_id: str | None
    """The public name of the session; it opens nothing. None where a token is used."""
    token_id: str | None
    """The public name of the token; None where a session is used."""
    stepped_up: bool
    """Whether a second factor was given within the last five minutes (rule 4)."""
    session_key: bytes = field(repr=False)
    """32 bytes that only whoever presents this session's cookie, or this token, can bring again; stored nowhere."""

    def holds(self, operation: Operation) -> bool:
        """Tell whether any right is of this operation, whatever it reaches."""
        return any(right.operation is operation for right in self.rights)

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


def allowed(
    principal: Principal, operation: Operation, organisation: str | None, *, dataset: str | None = None
) -> bool:
    """Tell whether `require` would let this through once a fresh second factor is given."""
    if organisation is None:
        return principal.holds(operation)
    return principal.reaches(operation, organisation, dataset)


def require(
    principal: Principal, operation: Operation, organisation: str | None, *, dataset: str | None = None
) -> None:
    """Return when the principal may do this now; raise otherwise.

    Args:
        principal: who asks.
        operation: what is to be done.
        organisation: whose object it is; `DEPLOYMENT` for one of the deployment; None where there is no single object, as in a list that
            holds only what the principal reaches.
        dataset: the dataset's name within the organisation where the object belongs to one.

    Raises:
        NotFoundError: it belongs to others (rule 3); whoever looks for an object raises the same when there is none.
        ForbiddenError: it belongs to the principal's organisation, to the deployment or to nobody yet, and no right covers this.
        StepUpNeededError: a right covers it, and a fresh second factor is missing (rule 4).
    """
    if not allowed(principal, operation, organisation, dataset=dataset):
        if organisation in (principal.organisation, DEPLOYMENT, None):
            raise ForbiddenError
        raise NotFoundError
    if operation in STEP_UP and not principal.stepped_up:
        raise StepUpNeededError
