"""The keys of one organisation: its epochs, its indexes, its uploads.

1. Data keys are wrapped under the epoch in use. An epoch is retired when no data key is wrapped under it any more; then its key is destroyed,
   and old backups of the database stay closed (privacy rule 21). An epoch's name is never used again.
2. Another process may change the keystore: each use of a key looks whether the file is still the one that was read. Wrap a data key inside the
   write transaction that stores it, and retire an epoch only where no transaction can be storing one: else a data key could be wrapped under a
   key that is about to be destroyed.
3. Indexes are keyed with a secret of their own, which rotation re-wraps and does not change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from casehaven.vault.context import SealContext, prefixed
from casehaven.vault.envelope import key_id, new_key_pair, open_with, recipient, seal_to
from casehaven.vault.errors import EpochError, SealContextError
from casehaven.vault.key_contexts import below_context
from casehaven.vault.keystore_file import EPOCH_NAME, OrganisationEntry
from casehaven.vault.sealed import KEY_BYTES, new_key, unwrap_key, wrap_key

if TYPE_CHECKING:
    from casehaven.vault.keystore import Keystore

_INDEX_LABEL: Final = prefixed(b"casehaven-vault-index/1")
_DEK_KINDS: Final = ("person-key", "chunk-key")


@dataclass(frozen=True, kw_only=True)
class RecoveredKeys:
    """The keys of one organisation that open its present data: what escrow holds, and nothing more."""

    organisation: str
    """Whose they are."""
    epoch: str
    """The epoch in use when they were put into escrow."""
    epoch_key: bytes = field(repr=False)
    """Opens the data keys of that epoch."""
    index_secret: bytes = field(repr=False)
    """Finds people in the organisation's indexes."""


class OrganisationKeys:
    """The keys of one organisation. Made by `Keystore.organisation`; it looks at the file again before each use."""

    def __init__(self, keystore: Keystore, organisation: str) -> None:
        self._keystore = keystore
        self.organisation = organisation

    def __repr__(self) -> str:
        return f"OrganisationKeys({self.organisation!r})"

    @property
    def epoch(self) -> str:
        """The epoch in use, such as `2026-11` or `2026-11.2`."""
        return next(reversed(self._entry.epochs))

    @property
    def epochs(self) -> tuple[str, ...]:
        """All epochs whose keys are there, oldest first: one, or two while data keys are re-wrapped."""
        return tuple(self._entry.epochs)

    @property
    def version(self) -> int:
        """Version of the organisation key."""
        return self._entry.version

    @property
    def public_key(self) -> bytes:
        """The public key in use for uploads: anybody may `seal_to` it."""
        return next(reversed(self._entry.uploads))

    @property
    def upload_public_keys(self) -> tuple[bytes, ...]:
        """Every public key whose uploads still open, oldest first."""
        return tuple(self._entry.uploads)

    def wrap_dek(self, dek: bytes, context: SealContext) -> bytes:
        """Wrap a data key under the epoch in use; see rule 2 on when.

        Who stores the epoch beside it and does not hold off rotation takes `wrap_dek_with_epoch`: another epoch may begin between two calls.

        Raises:
            SealContextError: the context is not one of a data key of this organisation.
        """
        return self.wrap_dek_with_epoch(dek, context)[1]

    def wrap_dek_with_epoch(self, dek: bytes, context: SealContext) -> tuple[str, bytes]:
        """Wrap a data key under the epoch in use, and return that epoch with it.

        Raises:
            SealContextError: the context is not one of a data key of this organisation.
        """
        self._check(context, _DEK_KINDS)
        entry = self._entry
        epoch = next(reversed(entry.epochs))
        return epoch, wrap_key(self._keystore.key_below(self.organisation, entry, "epoch-key", epoch), dek, context)

    def wrap_deks(self, deks: Iterable[tuple[bytes, SealContext]]) -> tuple[str, list[bytes]]:
        """Wrap many data keys under the epoch in use, and return that epoch with them.

        Raises:
            SealContextError: a context is not one of a data key of this organisation.
        """
        entry = self._entry
        epoch = next(reversed(entry.epochs))
        key = self._keystore.key_below(self.organisation, entry, "epoch-key", epoch)
        wrapped = []
        for dek, context in deks:
            self._check(context, _DEK_KINDS)
            wrapped.append(wrap_key(key, dek, context))
        return epoch, wrapped

    def unwrap_dek(self, wrapped: bytes, epoch: str, context: SealContext) -> bytes:
        """Unwrap a data key of an epoch.

        Raises:
            EpochError: the key of this epoch is not there: retired, or never begun.
            SealBrokenError: the data key does not open in this context.
            SealContextError: the context is not one of a data key of this organisation.
        """
        self._check(context, _DEK_KINDS)
        entry = self._entry
        if epoch not in entry.epochs:
            raise EpochError(f"{self.organisation} has no key for the epoch of this data key; it was retired")
        return unwrap_key(self._keystore.key_below(self.organisation, entry, "epoch-key", epoch), wrapped, context)

    def index_key(self, field: str) -> bytes:
        """32 bytes for keyed hashes of one field; no rotation changes them (rule 3)."""
        secret = self._keystore.key_below(self.organisation, self._entry, "index-key", "index")
        info = _INDEX_LABEL + prefixed(field.encode())
        return HKDFExpand(algorithm=hashes.SHA512(), length=KEY_BYTES, info=info).derive(secret)

    def seal_upload(self, plaintext: bytes, context: SealContext) -> bytes:
        """Seal an upload to this organisation; the same as `seal_to` its public key.

        Raises:
            SealContextError: the context is not one of an upload to this organisation.
        """
        self._check(context, ("upload",))
        return seal_to(self.public_key, plaintext, context)

    def open_upload(self, envelope: bytes, context: SealContext) -> bytes:
        """Open an upload, with whichever key of the organisation it was sealed to.

        Raises:
            SealBrokenError: it does not open in this context, or its key is gone.
            SealContextError: the context is not one of an upload to this organisation.
        """
        self._check(context, ("upload",))
        entry = self._entry
        named = recipient(envelope)
        public = next((key for key in entry.uploads if key_id(key) == named), self.public_key)
        private = self._keystore.key_below(self.organisation, entry, "hpke-key", public.hex())
        return open_with(private, envelope, context)

    def begin_epoch(self, name: str | None = None) -> str:
        """Make a new epoch key and use it from now on; the old one stays until `retire_epoch`. A name in use already changes nothing.

        Args:
            name: such as `2026-12`; by default this month, with a number behind it when the month has an epoch already.

        Raises:
            EpochError: the name is malformed or retired, or two epochs are there already.
        """

        def begun(entry: OrganisationEntry, key: bytes) -> OrganisationEntry:
            wanted = name if name is not None else _unused(entry)
            if wanted == next(reversed(entry.epochs)):
                return entry
            if not EPOCH_NAME.fullmatch(wanted):
                raise EpochError("an epoch is written YYYY-MM or YYYY-MM.N")
            if wanted in entry.epochs or wanted in entry.retired:
                raise EpochError(f"the epoch {wanted} of {self.organisation} was in use before; use another name")
            if len(entry.epochs) > 1:
                raise EpochError(
                    f"{self.organisation} has an epoch that is not retired yet: {next(iter(entry.epochs))}; re-wrap and retire it first"
                )
            made = wrap_key(key, new_key(), below_context(self.organisation, entry.version, "epoch-key", wanted))
            return replace(entry, epochs={**entry.epochs, wanted: made})

        self._change(begun)
        return self.epoch

    def retire_epoch(self, name: str) -> None:
        """Destroy the key of an old epoch (rule 1). What is still wrapped under it is lost. Retiring twice changes nothing.

        Raises:
            EpochError: the epoch is in use, or there never was one of this name.
        """

        def retired(entry: OrganisationEntry, key: bytes) -> OrganisationEntry:
            if name in entry.retired:
                return entry
            if name not in entry.epochs:
                raise EpochError(f"{self.organisation} has no such epoch")
            if name == next(reversed(entry.epochs)):
                raise EpochError(f"the epoch {name} of {self.organisation} is in use; begin another one first")
            left = {epoch: wrapped for epoch, wrapped in entry.epochs.items() if epoch != name}
            return replace(entry, epochs=left, retired=(*entry.retired, name))

        self._change(retired)

    def renew_upload_key(self) -> None:
        """Make a new key pair for uploads. Uploads to older ones still open, until `forget_upload_keys`."""

        def renewed(entry: OrganisationEntry, key: bytes) -> OrganisationEntry:
            private, public = new_key_pair()
            context = below_context(self.organisation, entry.version, "hpke-key", public.hex())
            return replace(entry, uploads={**entry.uploads, public: wrap_key(key, private, context)})

        self._change(renewed)

    def forget_upload_keys(self) -> None:
        """Destroy all key pairs for uploads but the one in use. An upload to one of them can never be opened again."""

        def forgotten(entry: OrganisationEntry, key: bytes) -> OrganisationEntry:
            public, wrapped = next(reversed(entry.uploads.items()))
            return replace(entry, uploads={public: wrapped})

        self._change(forgotten)

    def for_escrow(self) -> RecoveredKeys:
        """The keys that escrow holds: those of the epoch in use, never of an older one."""
        entry = self._entry
        if len(entry.epochs) > 1:
            raise EpochError(
                f"{self.organisation} is between two epochs; re-wrap its data keys and retire {next(iter(entry.epochs))} first"
            )
        epoch = next(reversed(entry.epochs))
        return RecoveredKeys(
            organisation=self.organisation,
            epoch=epoch,
            epoch_key=self._keystore.key_below(self.organisation, entry, "epoch-key", epoch),
            index_secret=self._keystore.key_below(self.organisation, entry, "index-key", "index"),
        )

    @property
    def _entry(self) -> OrganisationEntry:
        return self._keystore.entry_of(self.organisation)

    def _change(self, change: Callable[[OrganisationEntry, bytes], OrganisationEntry]) -> None:
        self._keystore.change_entry(self.organisation, change)

    def _check(self, context: SealContext, kinds: tuple[str, ...]) -> None:
        if context.organisation != self.organisation or context.kind not in kinds:
            raise SealContextError(
                f"the keys of {self.organisation} take a context of the kind {' or '.join(kinds)}, and of this organisation"
            )


def epoch_of_month(now: datetime | None = None) -> str:
    """The plain name of a month's epoch.

    >>> epoch_of_month(datetime(2026, 11, 22))
    '2026-11'
    """
    return (now or datetime.now(UTC)).strftime("%Y-%m")


def _unused(entry: OrganisationEntry) -> str:
    """A name for the next epoch: this month, then this month with a number."""
    month = epoch_of_month()
    names = (month, *(f"{month}.{number}" for number in range(2, 10_000)))
    return next(name for name in names if name not in entry.epochs and name not in entry.retired)
