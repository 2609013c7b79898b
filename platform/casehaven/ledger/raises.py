"""A raise of a cap: two people, a reason, and it shows for good (privacy rule 19).

1. A request names the ledger, the dataset (or the cap for one person), the epsilon that holds now, the new one and why. It has a random number.
2. An approval is an Ed25519 signature over the canonical bytes of a request, with a prefix that makes it good for nothing else.
3. Two people are two of those whom the ledger itself names (`casehaven.ledger.approvers`), over the same request. A request is good once: it names the cap
   that it raises from.
4. A raise changes the cap of every block of the dataset, also of years that come later, and no balance. There is no raise that lowers a cap, and no time
   that resets a balance. The delta stays.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar

from sqlalchemy import Connection, insert, select

from casehaven.ledger import models
from casehaven.ledger.accounts import latest_raises, stored_ledger_policy, stored_policy, with_raise
from casehaven.ledger.anchor import LedgerAnchor
from casehaven.ledger.anchored import stored_state
from casehaven.ledger.approvers import present_set
from casehaven.ledger.ceilings import set_caps
from casehaven.ledger.chain import append
from casehaven.ledger.errors import AccountNameError, BudgetPolicyError, BudgetRaiseError
from casehaven.ledger.policy import BudgetPolicy, parse_dataset_id
from casehaven.ledger.two_people import TEXT_LIMIT, TwoPersonApproval, TwoPersonRequest, two_people
from casesynth.signing import SigningKey, verify_raise


@dataclass(frozen=True, kw_only=True)
class RaiseRequest(TwoPersonRequest):
    """What is to be raised, and why."""

    FORMAT: ClassVar = "casehaven-budget-raise/1"
    ERROR: ClassVar = BudgetRaiseError

    number: str
    """Random, 32 hexadecimal digits."""
    created: str
    """Day, ISO 8601."""
    ledger: str
    """Id of the ledger."""
    dataset: str | None
    """`organisation/dataset`; None: the cap for one person over all datasets."""
    epsilon_now: str
    """That holds now, as decimal text."""
    epsilon: str
    """The new one, as decimal text."""
    reason: str
    """It is published."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "dataset" and value is None:
                continue
            if not isinstance(value, str) or not value.strip() or len(value) > TEXT_LIMIT or not value.isprintable():
                raise BudgetRaiseError(
                    f"the raise needs a {field.name}: printable text of at most {TEXT_LIMIT} characters on one line"
                )
        try:
            if self.dataset is not None:
                parse_dataset_id(self.dataset)
            old, new = (BudgetPolicy.of(text, "1e-6").epsilon for text in (self.epsilon_now, self.epsilon))
        except (AccountNameError, BudgetPolicyError) as error:
            raise BudgetRaiseError(str(error)) from None
        if new <= old:
            raise BudgetRaiseError(f"a raise goes up: epsilon {new} is not above {old}")

    @staticmethod
    def draw_up(*, ledger: str, dataset: str | None, epsilon_now: str, epsilon: str, reason: str) -> RaiseRequest:
        """Return a request of today with a number of its own.

        Raises:
            BudgetRaiseError: it asks for what is never done.
        """
        return RaiseRequest(
            number=secrets.token_hex(16),
            created=datetime.now(UTC).date().isoformat(),
            ledger=ledger,
            dataset=dataset,
            epsilon_now=epsilon_now,
            epsilon=epsilon,
            reason=reason,
        )

    @property
    def what(self) -> str:
        """What is raised, in words."""
        return "the cap for one person" if self.dataset is None else self.dataset


class RaiseApproval(TwoPersonApproval[RaiseRequest]):
    """One person's signature over a request."""

    FORMAT: ClassVar = "casehaven-budget-raise-approval/1"

    @staticmethod
    def sign(key: SigningKey, request: bytes) -> bytes:
        """Sign with the prefix of requests about caps."""
        return key.sign_raise(request)

    def verify(self) -> None:
        """Check the signature."""
        verify_raise(self.public_key, self.signature, self.request.to_bytes())


def was_applied(connection: Connection, request_sha256: str) -> bool:
    """Tell whether a cap was raised by a request."""
    table = models.budget_raise.c
    return connection.scalar(select(table.epsilon).where(table.request_sha256 == request_sha256)) is not None


def apply(connection: Connection, anchor: LedgerAnchor, approvals: Sequence[RaiseApproval], now: str) -> RaiseRequest:
    """Raise a cap as two people approved, in the ledger and in its anchor.

    Raises:
        BudgetRaiseError: two of the people whom the ledger names did not approve it, or it does not fit this ledger; nothing changed.
        BadSignatureError: a signature does not fit.
    """
    approvers = present_set(connection)
    if approvers is None:
        raise BudgetRaiseError("this ledger names nobody who may approve; see `casehaven budget request-approvers`")
    request, people = two_people(
        approvals, approvers.people, BudgetRaiseError, what="a raise", unknown="one of those whom the ledger names"
    )
    policy = stored_ledger_policy(connection)
    ledger_id = connection.scalar(select(models.ledger.c.ledger_id))
    if request.ledger != ledger_id:
        raise BudgetRaiseError(f"the raise is of another ledger; this one is {ledger_id}")
    if request.dataset is None:
        if policy.odometer_epsilon is None:
            raise BudgetRaiseError("this ledger has no cap for one person; there is nothing to raise")
        present = policy.odometer_policy()
    else:
        row = connection.execute(select(models.dataset).where(models.dataset.c.dataset_id == request.dataset)).first()
        if row is None:
            raise BudgetRaiseError(f"no account was opened for {request.dataset}")
        present = with_raise(stored_policy(row), latest_raises(connection).get(request.dataset))
    if Decimal(request.epsilon_now) != present.epsilon:
        raise BudgetRaiseError(
            f"the raise is from epsilon {request.epsilon_now}, but {request.what} has {present.epsilon} by now; a new request is needed"
        )
    raised = BudgetPolicy(
        epsilon=Decimal(request.epsilon),
        delta_units=present.delta_units,
        additive_delta_units=present.additive_delta_units,
    )
    cap, before = raised.cap_nano_rho(), present.cap_nano_rho()
    if cap <= before:
        raise BudgetRaiseError(f"epsilon {request.epsilon} allows not one nano-rho more than {present.epsilon}")
    connection.execute(
        insert(models.budget_raise).values(
            request_sha256=request.digest(),
            dataset_id=request.dataset,
            epsilon=request.epsilon,
            cap_nano_rho=cap,
            reason=request.reason,
            approvers=" ".join(sorted(person.public_key.fingerprint for person in people)),
            raised_at=now,
        )
    )
    if request.dataset is not None:
        set_caps(connection, request.dataset, cap)
    append(connection, f"raise {request.digest()}")
    anchor.raise_state(stored_state(connection))
    return request
