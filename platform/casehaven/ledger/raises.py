"""A raise of a cap: two people, a reason, and it shows for good (privacy rule 19).

1. A request names the ledger, the dataset (or the cap for one person), the epsilon that holds now, the new one and why. It has a random number.
2. An approval is an Ed25519 signature over the canonical bytes of a request, with a prefix that makes it good for nothing else.
3. Two people are two names of the trust store, with two keys, over the same request. A request is good once: it names the cap that it raises from.
4. A raise changes the cap of every block of the dataset, also of years that come later, and no balance. There is no raise that lowers a cap, and no time
   that resets a balance. The delta stays.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from sqlalchemy import Connection, insert, select

from casehaven.ledger import models
from casehaven.ledger.accounts import latest_raises, stored_ledger_policy, stored_policy, with_raise
from casehaven.ledger.anchor import LedgerAnchor
from casehaven.ledger.anchored import stored_state
from casehaven.ledger.ceilings import set_caps
from casehaven.ledger.chain import append
from casehaven.ledger.errors import AccountNameError, BudgetPolicyError, BudgetRaiseError
from casehaven.ledger.policy import BudgetPolicy, parse_dataset_id
from casesynth._files import FileTooLargeError, NotRegularFileError, read_regular, write_whole
from casesynth.canonical import JsonFaultError, JsonValue, canonical_json, parse_json
from casesynth.signing import BadSignatureError, PublicKey, PublicKeyError, SigningKey, TrustStore, verify_raise

REQUEST_FORMAT = "casehaven-budget-raise/1"
APPROVAL_FORMAT = "casehaven-budget-raise-approval/1"
APPROVERS = 2
"""People who approve."""

_LIMIT = 65_536
_TEXT_LIMIT = 2_000


@dataclass(frozen=True, kw_only=True)
class RaiseRequest:
    """What is to be raised, and why."""

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
            if not isinstance(value, str) or not value.strip() or len(value) > _TEXT_LIMIT or not value.isprintable():
                raise BudgetRaiseError(
                    f"the raise needs a {field.name}: printable text of at most {_TEXT_LIMIT} characters on one line"
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

    def document(self) -> dict[str, JsonValue]:
        """The request as JSON."""
        return {"format": REQUEST_FORMAT, **asdict(self)}

    def to_bytes(self) -> bytes:
        """The canonical bytes, which are signed."""
        try:
            return canonical_json(self.document())
        except JsonFaultError as error:
            raise BudgetRaiseError(f"the request cannot be written: {error}") from None

    def digest(self) -> str:
        """SHA-256 of the canonical bytes, as hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def what(self) -> str:
        """What is raised, in words."""
        return "the cap for one person" if self.dataset is None else self.dataset


@dataclass(frozen=True, kw_only=True)
class RaiseApproval:
    """One person's signature over a request."""

    request: RaiseRequest
    public_key: PublicKey
    signature: bytes

    def to_bytes(self) -> bytes:
        """The canonical bytes of an approval file."""
        return canonical_json(
            {
                "format": APPROVAL_FORMAT,
                "request": self.request.document(),
                "public_key": self.public_key.text,
                "signature": base64.b64encode(self.signature).decode("ascii"),
            }
        )


def approve(request: RaiseRequest, key: SigningKey) -> RaiseApproval:
    """Approve a request with one's own key."""
    return RaiseApproval(request=request, public_key=key.public_key, signature=key.sign_raise(request.to_bytes()))


def apply(
    connection: Connection, anchor: LedgerAnchor, approvals: Sequence[RaiseApproval], trust: TrustStore, now: str
) -> RaiseRequest:
    """Raise a cap as two people approved, in the ledger and in its anchor.

    Raises:
        BudgetRaiseError: two people who are known here did not approve it, or it does not fit this ledger; nothing changed.
        BadSignatureError: a signature does not fit.
    """
    request, people = _two_people(approvals, trust)
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
            approvers=" ".join(people),
            raised_at=now,
        )
    )
    if request.dataset is not None:
        set_caps(connection, request.dataset, cap)
    append(connection, f"raise {request.digest()}")
    anchor.raise_state(stored_state(connection))
    return request


def _two_people(approvals: Sequence[RaiseApproval], trust: TrustStore) -> tuple[RaiseRequest, tuple[str, ...]]:
    """Return the request, and the fingerprints of the two who are known here and approved it."""
    for approval in approvals:
        verify_raise(approval.public_key, approval.signature, approval.request.to_bytes())
    if len({approval.request for approval in approvals}) != 1:
        raise BudgetRaiseError(f"expected {APPROVERS} approvals of one and the same request")
    known = {}
    for approval in approvals:
        signer = trust.lookup(approval.public_key)
        if signer is None:
            raise BudgetRaiseError(f"{approval.public_key.fingerprint} approved, but is not in the trust store")
        known[signer.public_key.raw] = signer
    names = {signer.name for signer in known.values()}
    if len(approvals) != APPROVERS or len(known) != APPROVERS or len(names) != APPROVERS:
        raise BudgetRaiseError(f"a raise needs {APPROVERS} people who approve, got {min(len(known), len(names))}")
    return approvals[0].request, tuple(sorted(signer.public_key.fingerprint for signer in known.values()))


def read_request(path: Path) -> RaiseRequest:
    """Read a request file.

    Raises:
        BudgetRaiseError: there is none, or it is not the format.
    """
    return _request(_read(path), path.name)


def read_approval(path: Path) -> RaiseApproval:
    """Read an approval file.

    Raises:
        BudgetRaiseError: there is none, or it is not the format.
    """
    unverified = _read(path)
    expected = {"format", "request", "public_key", "signature"}
    if not isinstance(unverified, dict) or set(unverified) != expected or unverified["format"] != APPROVAL_FORMAT:
        raise BudgetRaiseError(
            f"{path.name}: an approval has the format {APPROVAL_FORMAT}, a request, a public key and a signature"
        )
    try:
        return RaiseApproval(
            request=_request(unverified["request"], path.name),
            public_key=PublicKey.parse(str(unverified["public_key"])),
            signature=base64.b64decode(str(unverified["signature"]).encode("ascii"), validate=True),
        )
    except (PublicKeyError, UnicodeEncodeError, binascii.Error):
        raise BudgetRaiseError(f"{path.name}: key and signature must be base64") from None


def write_new(path: Path, data: bytes) -> None:
    """Write a request or an approval; never over a file that is there.

    Raises:
        BudgetRaiseError: the file is there, or cannot be written.
    """
    try:
        write_whole(path, data, mode=0o644, replace=False)
    except FileExistsError:
        raise BudgetRaiseError(f"{path} is there already; nothing is overwritten") from None
    except OSError as error:
        raise BudgetRaiseError(f"{path} cannot be written: {error.strerror}") from None


def _request(unverified: object, what: str) -> RaiseRequest:
    names = {field.name for field in fields(RaiseRequest)}
    if not isinstance(unverified, dict) or unverified.get("format") != REQUEST_FORMAT:
        raise BudgetRaiseError(f"{what}: expected the format {REQUEST_FORMAT}")
    if set(unverified) != {"format", *names}:
        raise BudgetRaiseError(f"{what}: a request has the fields format, {', '.join(sorted(names))}")
    return RaiseRequest(**{name: unverified[name] for name in names})


def _read(path: Path) -> object:
    try:
        return parse_json(read_regular(path, limit=_LIMIT, follow=True), path.name)
    except FileNotFoundError:
        raise BudgetRaiseError(f"there is no file {path}") from None
    except (JsonFaultError, NotRegularFileError, FileTooLargeError, BadSignatureError) as error:
        raise BudgetRaiseError(str(error)) from None
    except OSError as error:
        raise BudgetRaiseError(f"{path} cannot be read: {error.strerror}") from None
