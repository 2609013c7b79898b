"""Reasons in the audit log, sealed under the keys of the organisation whose record was touched.

Each reason has a key of its own, wrapped under the organisation's epoch like a person's. So a reason in an old backup goes the way of the records in
it: when the epoch's key is destroyed, nobody can open it any more. Entries of no organisation are sealed under a key of the vault.
"""

from __future__ import annotations

import hmac

from casehaven.core.audit import AuditLog, BrokenReasonError, Clock, SealedReason, now
from casehaven.vault.context import Kind, SealContext
from casehaven.vault.errors import EpochError, SealBrokenError, UnknownOrganisationError
from casehaven.vault.keystore import Keystore
from casehaven.vault.sealed import new_key, seal, unseal, unwrap_key, wrap_key

_VAULT_KEY = b"casehaven-audit-reasons/1"


def audit_log(keystore: Keystore, clock: Clock = now) -> AuditLog:
    """Return the audit log that this keystore's keys write."""
    return AuditLog(keystore.audit_key(), KeystoreReasons(keystore), clock)


class KeystoreReasons:
    """Seals and opens reasons with a keystore's keys."""

    def __init__(self, keystore: Keystore) -> None:
        self._keystore = keystore

    def seal(self, organisation: str, position: int, reason: str) -> SealedReason:
        """Seal the reason of the entry at a position."""
        dek = new_key()
        sealed = seal(dek, _padded(reason), _context(organisation, position))
        return self._wrap(organisation, position, sealed, dek)

    def open(self, organisation: str, position: int, sealed: SealedReason) -> str:
        """Open it again."""
        try:
            dek = self._unwrap(organisation, position, sealed)
            return unseal(dek, sealed.sealed, _context(organisation, position)).rstrip(b"\x00").decode("utf-8")
        except (SealBrokenError, EpochError, UnknownOrganisationError, UnicodeError):
            raise BrokenReasonError(f"the reason of entry {position} cannot be opened") from None

    def rewrap(self, organisation: str, position: int, sealed: SealedReason) -> SealedReason:
        """Wrap its key under the organisation's present epoch; the same when it is already."""
        if not organisation or sealed.epoch == self._keystore.organisation(organisation).epoch:
            return sealed
        return self._wrap(organisation, position, sealed.sealed, self._unwrap(organisation, position, sealed))

    def _wrap(self, organisation: str, position: int, sealed: bytes, dek: bytes) -> SealedReason:
        context = _context(organisation, position, kind="person-key")
        if not organisation:
            return SealedReason(sealed=sealed, wrapped_dek=wrap_key(self._vault_key(), dek, context), epoch="")
        epoch, wrapped = self._keystore.organisation(organisation).wrap_dek_with_epoch(dek, context)
        return SealedReason(sealed=sealed, wrapped_dek=wrapped, epoch=epoch)

    def _unwrap(self, organisation: str, position: int, sealed: SealedReason) -> bytes:
        context = _context(organisation, position, kind="person-key")
        if not organisation:
            return unwrap_key(self._vault_key(), sealed.wrapped_dek, context)
        return self._keystore.organisation(organisation).unwrap_dek(sealed.wrapped_dek, sealed.epoch, context)

    def _vault_key(self) -> bytes:
        return hmac.digest(self._keystore.audit_key(), _VAULT_KEY, "sha256")


def _context(organisation: str, position: int, *, kind: Kind = "detail") -> SealContext:
    return SealContext(kind=kind, organisation=organisation, version=position, object_id="audit-reason")


def _padded(reason: str) -> bytes:
    """UTF-8, filled with zeros to a power of two from 64: its length says little (privacy rule 5)."""
    data = reason.replace("\x00", " ").encode("utf-8")
    return data.ljust(1 << max(6, (len(data) - 1).bit_length()), b"\x00")
