"""A member's signature of a digest, for agreements and drafts of releases: whether it holds, its entry in the vault's audit log, and who signed as that log has it.

1. Whoever has a passkey signs with it: its assertion is over a hash of the digest and of who signs, so it fits no other document or member (`casehaven.signin.passkeys`).
2. Whoever has no passkey signs by the second factor that their session has just given. The worker finds that session in the store: it takes the store's word for it.
3. What counts is an entry of the vault's audit log, with a leaf under a key that the api never has. A row of the store signs nothing.
4. What was ended in the store is over by the entry of its event in the log too, whatever becomes of the row.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from casehaven.agreements.errors import AgreementSignatureError
from casehaven.core.audit import AuditEntry, read_entries
from casehaven.core.audit_models import audit
from casehaven.errors import CasehavenError
from casehaven.organisations.members import Member
from casehaven.signin.errors import BrokenPasskeyError
from casehaven.signin.passkeys import check_assertion, has_passkey
from casehaven.signin.sessions import gave_second_factor
from casehaven.vault.store import Vault
from casehaven.worker.work import Work


@dataclass(frozen=True, kw_only=True)
class Signatures:
    """How the signatures of one kind of document stand in the vault's audit log."""

    action: str
    """Of a signature: none that an event of the store may have."""
    object_kind: str

    def of(self, vault: Vault, connection: Connection, objects: Collection[str]) -> list[AuditEntry]:
        """Return the entries about some objects that the keystore's holder wrote, in their order (rule 3)."""
        about = audit.c.object_id.in_(objects)  # alone: an event of the store has its number behind what it is about
        query = select(audit).where(audit.c.action == self.action, audit.c.object_kind == self.object_kind, about)
        entries = read_entries(connection, query.order_by(audit.c.position))
        return [entry for entry in entries if entry.expected_leaf(vault.audit.key) == entry.leaf]

    def enter(self, vault: Vault, connection: Connection, object_id: str, signer: Member) -> None:
        """Enter a signature that holds. That of a member of an organisation without keys is the vault's."""
        vault.audit.append(
            connection,
            action=self.action,
            object_kind=self.object_kind,
            object_id=object_id,
            organisation=signer.organisation if signer.organisation in vault.keystore.organisations else "",
            actor=signer.handle,
        )


def ended_in_log(connection: Connection, action: str, name: str) -> bool:
    """Whether the log has an event of the store by which what has this name ended (rule 4)."""
    events = (audit.c.action == action, audit.c.object_id.startswith(f"{name}#", autoescape=True))
    return connection.execute(select(audit.c.position).where(*events)).first() is not None


def proof_of(
    connection: Connection,
    work: Work,
    signer: Member,
    challenge: bytes,
    *,
    passkey_needed: type[CasehavenError] = AgreementSignatureError,
) -> dict[str, Any]:
    """Return what a job's signature rests on, when it holds: `method`, and `assertion` as JSON, None where a second factor was given.

    Args:
        connection: reads the service store.
        work: the job; its request has `assertion`, `origin` and `session`, and nothing of them is believed.
        signer: who asked for it.
        challenge: what a passkey had to sign.
        passkey_needed: raised where the signer has a passkey and sent no assertion.

    Raises:
        AgreementSignatureError: it does not hold.
    """
    given = work.request.get("assertion")
    if isinstance(given, dict):
        origin = str(work.request["origin"])
        try:
            assertion = check_assertion(connection, given, member=signer.id, challenge=challenge, origin=origin)
        except BrokenPasskeyError:
            raise AgreementSignatureError from None
        return {"method": "passkey", "assertion": assertion}
    if has_passkey(connection, signer.id):
        raise passkey_needed
    if not gave_second_factor(connection, signer.id, work.request.get("session"), asked_at=work.job.queued_at):
        raise AgreementSignatureError
    return {"method": "second_factor", "assertion": None}
