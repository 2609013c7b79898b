"""The public statement of cumulative loss: what everyone may know of what was spent, signed (privacy rules 18 and 19).

1. It tells the state at the beginning of the present month, in steps of a sixteenth of the cap that each account began with, rounded up; within a month every
   statement tells the same amounts. So two statements never show one charge, and a raise moves no step: it neither lowers an amount nor cuts one finer. What an earlier copy may have lost counts from its resumption on, and what a clock that was ahead dated after today at
   once: no amount falls, and none is hidden.
2. It lists who may approve raises, by fingerprints of keys, since when the ledger has an anchor, every raise with its reason, every resumption of an earlier copy, every dataset without a bound, and every release with what was decided about
   it and whether that may rest on real records (privacy rule 33): these as of today.
3. What was spent on made-up people of a dataset of training is not in it. It holds no name of an analyst, no question, no count of charges and no count of people. Of a release that several organisations paid for it says how many, and not which: the release is public
   under its measurements, and contributors' names do not show.
4. It is canonical JSON with an Ed25519 signature over its bytes; whoever has the signer's key in a trust store checks it without any server.
"""

from __future__ import annotations

import base64
import binascii
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from casehaven.core.training import is_training
from casehaven.ledger.anchored import STEPS
from casehaven.ledger.errors import BudgetStatementError
from casehaven.ledger.policy import BudgetPolicy
from casehaven.ledger.service import Ledger
from casehaven.ledger.statement import Statement, StatementRow
from casesynth._files import FileTooLargeError, NotRegularFileError, read_regular, write_whole
from casesynth.canonical import JsonFaultError, JsonValue, canonical_json, parse_json
from casesynth.privacy.loss import NANO
from casesynth.signing import PublicKey, PublicKeyError, SigningKey, verify_statement

STATEMENT_FORMAT = "casehaven-budget-statement/1"
SIGNED_FORMAT = "casehaven-signed-statement/1"

_LIMIT = 1 << 26


@dataclass(frozen=True, kw_only=True)
class SignedStatement:
    """A public statement and who signed it."""

    document: dict[str, Any]
    """`casehaven-budget-statement/1`."""
    public_key: PublicKey
    signature: bytes

    def to_bytes(self) -> bytes:
        """The canonical bytes of the file."""
        return canonical_json(
            {
                "format": SIGNED_FORMAT,
                "statement": self.document,
                "public_key": self.public_key.text,
                "signature": base64.b64encode(self.signature).decode("ascii"),
            }
        )

    def save(self, path: Path) -> None:
        """Write the file, and the same in words beside it: `NAME.txt`.

        Raises:
            BudgetStatementError: one of them is there, or cannot be written.
        """
        for place, data in ((path, self.to_bytes()), (words_path(path), in_words(self.document).encode("utf-8"))):
            try:
                write_whole(place, data, mode=0o644, replace=False)
            except FileExistsError:
                raise BudgetStatementError(f"{place} is there already; nothing is overwritten") from None
            except OSError as error:
                raise BudgetStatementError(f"{place} cannot be written: {error.strerror}") from None


def words_path(path: Path) -> Path:
    """Return where the words of a statement are."""
    return path.with_name(f"{path.name}.txt")


def public_statement(
    ledger: Ledger, *, today: date | None = None, name_contributors: bool = False
) -> dict[str, JsonValue]:
    """Return the statement of the present month (rule 1).

    Args:
        ledger: whose.
        today: UTC; None for today.
        name_contributors: name the datasets of releases that several organisations paid for (rule 3): for whoever keeps the ledger, never to be published.
    """
    day = today or datetime.now(UTC).date()
    first = day.replace(day=1).isoformat()
    stated = ledger.statement_before(first, today=day.isoformat())
    account, worst = stated.policy.account, stated.odometer
    step = -(-(stated.first_odometer_cap_nano_rho or account.cap_nano_rho()) // STEPS)
    at_most = -(-worst.nano_rho // step) * step
    return {
        "format": STATEMENT_FORMAT,
        "ledger": stated.ledger_id,
        "before": first,
        "steps": STEPS,
        "policy": {
            "epsilon": str(account.epsilon),
            "delta": f"{float(account.delta):g}",
            "max_tokens_per_person": stated.policy.max_tokens_per_person,
            "epsilon_per_person": None
            if stated.policy.odometer_epsilon is None
            else str(stated.policy.odometer_epsilon),
        },
        "accounts": [account_in_steps(row) for row in stated.rows if not is_training(row.dataset)],
        "odometer": {
            "tokens": worst.tokens,
            "nano_rho_at_most": None if worst.unbounded else at_most,
            "epsilon_at_most": None if worst.epsilon is None else _up(account.epsilon_of(at_most)),
            "delta": f"{worst.delta_units / 10**15:g}",
            "unbounded": worst.unbounded,
        },
        "raises": [
            {
                "dataset": each.dataset_id,
                "epsilon": each.epsilon,
                "reason": each.reason,
                "approved_by": each.approvers.split(" "),
                "day": each.raised_at[:10],
            }
            for each in stated.raises
        ],
        "approvers": [
            {
                "day": each.named_at[:10],
                "keys": sorted(signer.public_key.fingerprint for signer in each.people.signers),
                "approved_by": list(each.approved_by),
                "reason": each.reason,
            }
            for each in stated.approvers
        ],
        "created": stated.created_at[:10],
        "anchored_since": None if stated.anchored_since is None else stated.anchored_since[:10],
        "resumed": [at[:10] for at in stated.resumed],
        "releases": _releases(stated, name_contributors=name_contributors),
    }


def account_in_steps(row: StatementRow) -> dict[str, JsonValue]:
    """An account in sixteenths of the cap that it began with, rounded up; how much of the present cap that is, follows from them alone."""
    part = -(-row.spent_nano_rho * STEPS // row.first_cap_nano_rho)
    at_most = min(-(-part * row.first_cap_nano_rho // STEPS), row.cap_nano_rho)
    share = min(-(-part * row.first_cap_nano_rho // row.cap_nano_rho), STEPS)
    policy = BudgetPolicy(
        epsilon=Decimal(row.cap_epsilon), delta_units=row.delta_units, additive_delta_units=row.cap_delta_units
    )
    unbounded = row.unbounded_since is not None
    return {
        "dataset": row.dataset,
        "block": row.block,
        "epsilon_cap": row.cap_epsilon,
        "delta": f"{row.delta_units / 10**15:g}",
        "spent_parts": None if unbounded else share,
        "nano_rho_at_most": None if unbounded else at_most,
        "epsilon_at_most": None if unbounded else min(_up(policy.epsilon_of(at_most)), float(row.cap_epsilon)),
        "unbounded_since": row.unbounded_since,
    }


def _releases(stated: Statement, *, name_contributors: bool) -> list[JsonValue]:
    made: list[JsonValue] = []
    for release in stated.releases:
        if release.decision is not None:
            organisations = {dataset.partition("/")[0] for dataset in release.datasets}
            named = name_contributors or len(organisations) < 2  # rule 3
            made.append(
                {
                    "measurements_sha256": release.result_sha256,
                    "datasets": list(release.datasets) if named else [],
                    "organisations": len(organisations),
                    "decision": release.decision.value,
                    "decision_used_private_data": release.used_private_data,
                }
            )
    return made


def sign(document: dict[str, JsonValue], key: SigningKey) -> SignedStatement:
    """Sign a statement."""
    return SignedStatement(
        document=document, public_key=key.public_key, signature=key.sign_statement(canonical_json(document))
    )


def read_statement(path: Path) -> SignedStatement:
    """Read a signed statement and check that its signature fits.

    Raises:
        BudgetStatementError: there is none, or it is not the format.
        BadSignatureError: the signature does not fit.
    """
    try:
        data = read_regular(path, limit=_LIMIT, follow=True)
    except (NotRegularFileError, FileTooLargeError) as error:
        raise BudgetStatementError(str(error)) from None
    except OSError as error:
        raise BudgetStatementError(f"{path} cannot be read: {error.strerror}") from None
    return parse_statement(data, path.name)


def parse_statement(data: bytes, name: str) -> SignedStatement:
    """Read a signed statement from its bytes and check that its signature fits.

    Args:
        data: of the file.
        name: for messages.

    Raises:
        BudgetStatementError: it is not the format.
        BadSignatureError: the signature does not fit.
    """
    try:
        unverified = parse_json(data, name)
    except JsonFaultError as error:
        raise BudgetStatementError(str(error)) from None
    expected = {"format", "statement", "public_key", "signature"}
    if not isinstance(unverified, dict) or set(unverified) != expected or unverified["format"] != SIGNED_FORMAT:
        raise BudgetStatementError(f"{name}: expected the format {SIGNED_FORMAT}")
    document = unverified["statement"]
    if not isinstance(document, dict) or document.get("format") != STATEMENT_FORMAT:
        raise BudgetStatementError(f"{name}: expected a statement of the format {STATEMENT_FORMAT}")
    try:
        key = PublicKey.parse(str(unverified["public_key"]))
        signature = base64.b64decode(str(unverified["signature"]).encode("ascii"), validate=True)
    except (PublicKeyError, UnicodeEncodeError, binascii.Error):
        raise BudgetStatementError(f"{name}: key and signature must be base64") from None
    verify_statement(key, signature, canonical_json(document))
    return SignedStatement(document=document, public_key=key, signature=signature)


def in_words(document: dict[str, Any]) -> str:
    """Return a statement in plain words, for people."""
    lines = [
        f"Cumulative privacy loss of the ledger {document['ledger']}",
        f"What was charged before {document['before']}, rounded up to sixteenths of each budget. It never falls and is never reset.",
        "",
    ]
    for row in document["accounts"]:
        block = f"first registered in {row['block']}" if row["block"] else "year of first registration unknown"
        if row["unbounded_since"] is not None:
            said = f"NO BOUND: released without differential privacy on {row['unbounded_since']}"
        else:
            said = f"epsilon at most {row['epsilon_at_most']:g} of {row['epsilon_cap']} (delta {row['delta']}), {row['spent_parts']}/{document['steps']} of the budget"
        lines.append(f"{row['dataset']}, {block}: {said}")
    worst = document["odometer"]
    if worst["unbounded"]:
        lines += ["", "Worst total for one person: NO BOUND for people in a dataset that has none."]
    elif worst["epsilon_at_most"] is not None:
        several = "1 dataset" if worst["tokens"] == 1 else f"{worst['tokens']} datasets"
        rho = worst["nano_rho_at_most"] / NANO
        total = f"epsilon at most {worst['epsilon_at_most']:g} (delta {worst['delta']}), {rho:.3f} rho"
        lines += ["", f"Worst total for one person in {several}: {total}"]
    lines += [
        f"Raised on {each['day']}: {each['dataset'] or 'the cap for one person'} to epsilon {each['epsilon']}, by two people. Reason: {each['reason']}"
        for each in document["raises"]
    ]
    lines += _approver_lines(document)
    since = document["anchored_since"]
    if since is None:
        lines.append("This ledger has no anchor: an earlier copy of it would not be noticed, and it spends nothing.")
    elif since > document["created"]:
        lines.append(f"Anchored since {since}: whether an earlier copy was put back before that day is not known.")
    lines += [
        f"On {day} an earlier copy of the ledger was put back; everything that may have been spent counts as spent."
        for day in document["resumed"]
    ]
    lines += [
        f"Release {each['measurements_sha256'][:12]} of {_whose(each)}: {each['decision']}"
        + ("; decision used private data: not covered" if each["decision_used_private_data"] else "")
        for each in document["releases"]
    ]
    return "\n".join(lines) + "\n"


def _whose(release: dict[str, Any]) -> str:
    """Whose datasets a release is of, as far as the statement says it."""
    named = ", ".join(release["datasets"])
    return named or f"datasets of {release['organisations']} organisations"


def _approver_lines(document: dict[str, Any]) -> list[str]:
    """Who may approve raises."""
    if not document["approvers"]:
        return ["Nobody is named who may approve a raise."]
    lines = []
    for each in document["approvers"]:
        keys = f"by two of the keys {', '.join(each['keys'])}" if each["keys"] else "by nobody: no cap is ever raised"
        named = (
            f". Named by {' and '.join(each['approved_by'])}; reason: {each['reason']}" if each["approved_by"] else ""
        )
        lines.append(f"Raises are approved, since {each['day']}, {keys}{named}")
    return lines


def _up(epsilon: float) -> float:
    """Four decimals, rounded up: a loss is never shown smaller than it is."""
    return math.ceil(epsilon * 10_000) / 10_000
