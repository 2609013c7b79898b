"""What can go wrong with the vault, by cause. Messages name organisations, datasets, identifiers and files, never a case or a key."""

from casehaven.errors import CasehavenError


class VaultError(CasehavenError):
    """Root of the vault's errors."""


# keys and sealed bytes


class SealContextError(VaultError):
    """A context that cannot be written down: an unknown kind, a version out of range, text that is not Unicode."""


class KeySizeError(VaultError):
    """Bytes that cannot be a key: keys have 32 bytes."""


class SealBrokenError(VaultError):
    """Sealed bytes do not open: another key, another context, or bytes that were changed. Which of them is not said."""


class SealTooLargeError(VaultError):
    """More bytes than one sealed object may hold."""


class RootKeyError(VaultError):
    """A root key that is missing, malformed, too weak, or not the one of this keystore."""


class LooseRootKeyError(RootKeyError):
    """A root key file that other users of the machine may read or change."""


class RootKeyProviderError(RootKeyError):
    """The token or the setting that holds the root key cannot be reached."""


class KeystoreError(VaultError):
    """A keystore that is missing, is there already, or cannot be read or written."""


class KeystoreMissingError(KeystoreError):
    """There is no keystore at the path."""


class KeystoreExistsError(KeystoreError):
    """A keystore cannot be made where one is already: keys are never overwritten."""


class DamagedKeystoreError(KeystoreError):
    """The keystore opens with the root key, but its content is not what was written."""


class KeystoreVersionError(KeystoreError):
    """The keystore was written in a format that this software does not know."""


class UnknownOrganisationError(KeystoreError):
    """The keystore has no keys of this organisation, or its name cannot be one."""


class EpochError(KeystoreError):
    """An epoch that does not exist, is gone, or may not be begun or retired now."""


class EscrowError(VaultError):
    """An escrow packet, request or answer that is malformed, does not fit the others, or comes from too few custodians."""


class EscrowExpiredError(EscrowError):
    """The time in which the request may be answered or opened is over, or has not begun."""
