"""Which key of a keystore is bound to what: the table of docs/spec/vault-format.md, in code."""

from __future__ import annotations

from casehaven.vault.context import Kind, SealContext
from casehaven.vault.errors import DamagedKeystoreError, SealBrokenError
from casehaven.vault.keystore_file import FILE, OrganisationEntry
from casehaven.vault.sealed import unwrap_key


def vault_context(keystore_id: str, root_version: int, name: str) -> SealContext:
    """Of a key of the whole vault."""
    return SealContext(kind="vault-key", organisation="", dataset=keystore_id, version=root_version, object_id=name)


def organisation_context(keystore_id: str, root_version: int, organisation: str, version: int) -> SealContext:
    """Of an organisation's key, in its version."""
    return SealContext(
        kind="organisation-key",
        organisation=organisation,
        dataset=keystore_id,
        version=root_version,
        object_id=str(version),
    )


def below_context(organisation: str, version: int, kind: Kind, name: str) -> SealContext:
    """Of a key that an organisation's key wraps."""
    return SealContext(kind=kind, organisation=organisation, version=version, object_id=name)


def unwrap_below(key: bytes, wrapped: bytes, organisation: str, version: int, kind: Kind, name: str) -> bytes:
    """Unwrap a key with the organisation's key.

    Raises:
        DamagedKeystoreError: it does not open.
    """
    try:
        return unwrap_key(key, wrapped, below_context(organisation, version, kind, name))
    except SealBrokenError:
        raise DamagedKeystoreError(f"{FILE}: a key of {organisation} does not open") from None


def all_below(entry: OrganisationEntry) -> tuple[tuple[Kind, str, bytes], ...]:
    """Every key that the organisation's key wraps, with its kind and name."""
    return (
        ("index-key", "index", entry.index),
        *(("hpke-key", public.hex(), wrapped) for public, wrapped in entry.uploads.items()),
        *(("epoch-key", name, wrapped) for name, wrapped in entry.epochs.items()),
    )


def find_below(entry: OrganisationEntry, kind: Kind, name: str) -> bytes:
    """The wrapped key of a kind and name."""
    if kind == "epoch-key":
        return entry.epochs[name]
    if kind == "index-key":
        return entry.index
    return entry.uploads[bytes.fromhex(name)]


def wrapped_keys(entry: OrganisationEntry) -> tuple[bytes, ...]:
    """All wrapped keys of an organisation, its own among them."""
    return entry.key, *(wrapped for _, _, wrapped in all_below(entry))
