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


class CustodianKeyError(EscrowError):
    """A custodian's key that is missing, malformed, readable by others, or does not open with the passphrase."""


class EscrowExpiredError(EscrowError):
    """The time in which the request may be answered or opened is over, or has not begun."""


# the store


class VaultMissingError(VaultError):
    """There is no vault in the folder."""


class VaultExistsError(VaultError):
    """Something is in the folder already, where a new vault was to be made."""


class VaultFormatError(VaultError):
    """The vault's own file is of a format that this software does not know, or it does not belong to this database."""


class ChangedVaultFileError(VaultFormatError):
    """The vault's own file says other places than its keys vouch for."""


class VaultBusyError(VaultError):
    """Another process was changing the same dataset or organisation for longer than one waits."""


class DatasetNameError(VaultError):
    """Words that cannot name an organisation or a dataset."""


class DatasetExistsError(VaultError):
    """The organisation has a dataset of that name already."""


class DatasetMissingError(VaultError):
    """The vault has no dataset of that name."""


class SchemaDiffersError(VaultError):
    """A file, a correction or a release names another schema than the dataset has."""


class UnknownPersonError(VaultError):
    """The dataset has no such person: never had, or no longer has."""


class UnknownRecordError(VaultError):
    """The person has no such record, or it was replaced by a correction already."""


class DamagedChunkError(VaultError):
    """A chunk file is missing, or it is not the one that was written."""


class PurposeRefusedError(VaultError):
    """A snapshot was to be opened without a charge for something that needs one."""


class UnboundedDatasetError(VaultError):
    """A dataset was released without differential privacy; nothing is released from it any more, under whatever ledger."""


class OtherLedgerError(VaultError):
    """A dataset's account is in another ledger than the one named: a fresh ledger is no fresh budget."""


class SnapshotChangedError(VaultError):
    """A dataset changed between the check of a snapshot and its opening."""


# trust over time


class AnchorError(VaultError):
    """Root of the anchor's errors."""


class AnchorMissingError(AnchorError):
    """The anchor is not where it should be, or cannot be read or written: its storage is not attached, or it was lost."""


class AnchorExistsError(AnchorError):
    """An anchor cannot be made where one is already: what it remembers is never forgotten by starting over."""


class BrokenAnchorError(AnchorError):
    """The file is no anchor of this vault, or was changed: its signature does not fit."""


class RolledBackError(AnchorError):
    """The vault is older than its anchor, or another one: somebody put an earlier copy back."""


class BackupError(VaultError):
    """Root of the errors of backups."""


class BackupExistsError(BackupError):
    """Something is already where the backup or the restored vault was to go."""


class DamagedBackupError(BackupError):
    """The backup is incomplete or was changed, or it is not one of this vault."""


class BackupVersionError(BackupError):
    """The backup was written in a format that this software does not know."""


class BackupEpochError(BackupError):
    """The backup's keys are wrapped under an epoch whose key was destroyed: nobody can open it any more."""


class DrillError(BackupError):
    """The drill restored the backup, and something is not as it was."""
