"""The root of every error that casehaven raises, and the one table from an error to its exit code and advice.

1. A message says what failed, where, what was expected and what came; it carries identifiers and limits, never case values or counts of people.
2. The table names classes by their full name, so that telling an exit code loads no package that the command did not need. The nearest
   class in the error's ancestry decides; a family's root is the fallback.
3. Exit codes: 0 fine; 1 refused, changed or failed; 2 unknown signer, and wrong usage; 3 budget exhausted; 130 interrupted.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass


class CasehavenError(Exception):
    """Root of casehaven's errors. Messages name files, datasets, fields and limits, never case values or counts of people."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a command does about an error."""

    exit_code: int
    """Of the process."""
    advice: str
    """One sentence that begins with a verb: what the person can do now."""


EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_UNKNOWN_SIGNER = 2
EXIT_BUDGET = 3
EXIT_INTERRUPTED = 130

_RESTORE = "restore a whole copy of the file; do not start a new ledger, because what was spent stays spent"
_CHARGE_STANDS = "start a new release with a new key; it needs a new charge"

OUTCOMES: dict[str, Outcome] = {
    # casehaven
    "casehaven.errors.CasehavenError": Outcome(
        exit_code=EXIT_REFUSED, advice="read the message above; nothing was released"
    ),
    "casehaven.ledger.errors.LedgerError": Outcome(exit_code=EXIT_REFUSED, advice="see `casehaven ledger --help`"),
    "casehaven.ledger.errors.LedgerMissingError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="name the file with --ledger or CASEHAVEN_LEDGER, or make one with `casehaven ledger create`",
    ),
    "casehaven.ledger.errors.LedgerExistsError": Outcome(
        exit_code=EXIT_REFUSED, advice="use the ledger that is there (`casehaven ledger show`), or name another file"
    ),
    "casehaven.ledger.errors.NotALedgerError": Outcome(exit_code=EXIT_REFUSED, advice=_RESTORE),
    "casehaven.ledger.errors.LedgerVersionError": Outcome(
        exit_code=EXIT_REFUSED, advice="use the version of casehaven that wrote this ledger, or a newer one"
    ),
    "casehaven.ledger.errors.DamagedLedgerError": Outcome(exit_code=EXIT_REFUSED, advice=_RESTORE),
    "casehaven.ledger.errors.LedgerBusyError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="run the same command again when the other work is done; a replay costs nothing twice",
    ),
    "casehaven.ledger.errors.LedgerStorageError": Outcome(
        exit_code=EXIT_REFUSED, advice="free space or repair the folder's permissions, then run the same command again"
    ),
    "casehaven.ledger.errors.BudgetPolicyError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="give an epsilon from 0.001 to 100 and a delta from 1e-15 to 0.01, within what `casehaven ledger show` allows",
    ),
    "casehaven.ledger.errors.AccountNameError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="write the dataset as organisation/dataset in small letters, and a block as a year",
    ),
    "casehaven.ledger.errors.UnknownAccountError": Outcome(
        exit_code=EXIT_REFUSED, advice="see which accounts are open with `casehaven ledger show`"
    ),
    "casehaven.ledger.errors.BudgetExhaustedError": Outcome(
        exit_code=EXIT_BUDGET,
        advice="ask for a smaller epsilon, or use a release that is already paid for; see `casehaven ledger show`",
    ),
    "casehaven.ledger.errors.IdempotencyConflictError": Outcome(
        exit_code=EXIT_REFUSED, advice="repeat the first request exactly, or use a new key for a new request"
    ),
    "casehaven.ledger.errors.DrawRefusedError": Outcome(exit_code=EXIT_REFUSED, advice=_CHARGE_STANDS),
    "casehaven.ledger.errors.AlreadyRevealedError": Outcome(
        exit_code=EXIT_REFUSED, advice="use the result that was released; its digest is above"
    ),
    "casehaven.releases.service.RequestBusyError": Outcome(
        exit_code=EXIT_REFUSED, advice="wait until the other process is done, then run the same command again"
    ),
    "casehaven.releases.service.UnknownDatasetError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="correct the name of the organisation or dataset; if it is new, add --open-accounts; see `casehaven ledger show`",
    ),
    "casehaven.cli.evaluate.ReportFileError": Outcome(
        exit_code=EXIT_REFUSED, advice="name a new file that ends in .html"
    ),
    "casehaven.evaluation.sealed_page.ReportPassphraseError": Outcome(
        exit_code=EXIT_REFUSED, advice="give a longer one, or leave --passphrase away to have one made"
    ),
    "casehaven.evaluation.service.OtherDatasetsError": Outcome(
        exit_code=EXIT_REFUSED, advice="name the datasets that paid for the release; see `casehaven ledger show`"
    ),
    "casehaven.evaluation.service.NobodyEvaluatedError": Outcome(
        exit_code=EXIT_REFUSED, advice="see who consented with `casehaven person consent`"
    ),
    "casehaven.releases.private_decision.MarkError": Outcome(
        exit_code=EXIT_REFUSED, advice="use the version of casehaven that wrote the bundle; no record was opened"
    ),
    "casehaven.cli.plan.PlanOptionsError": Outcome(exit_code=EXIT_USAGE, advice="see `casehaven plan --help`"),
    "casehaven.cli.plan.ExistingPageError": Outcome(
        exit_code=EXIT_REFUSED, advice="name another file, or add --replace"
    ),
    "casehaven.releases.k_mode.PooledKModeError": Outcome(
        exit_code=EXIT_REFUSED, advice="use `casehaven release`, which protects people of several organisations"
    ),
    "casehaven.releases.k_mode_request.KRequestError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="correct what the message names; nothing was marked. See `casehaven k-release --help`",
    ),
    "casehaven.releases.k_mode_request.TwoPeopleError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="ask two people to approve it, and add their keys with `casehaven keys trust add`",
    ),
    "casehaven.cli.keys.FingerprintMismatchError": Outcome(
        exit_code=EXIT_REFUSED, advice="do not trust this key; ask the signer for the fingerprint again"
    ),
    "casehaven.ledger.errors.IdempotencyKeyError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="use the key that the unfinished attempt printed, or leave --idempotency-key away for a new request",
    ),
    "casehaven.ledger.errors.DecisionError": Outcome(
        exit_code=EXIT_REFUSED, advice="make a new release where another one is needed; see `casehaven ledger show`"
    ),
    "casehaven.ledger.errors.DecisionNeededError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="decide first: `casehaven decide`; --before-decision opens it and marks the release for good",
    ),
    "casehaven.ledger.errors.UnboundedAccountError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="leave the dataset away; no command takes the mark back (`casehaven ledger show`)",
    ),
    "casehaven.vault.errors.UnboundedDatasetError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="leave the dataset away; no command takes the mark back, and no other ledger does",
    ),
    "casehaven.ledger.errors.UnboundedRequestUsedError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="make a new request with `casehaven k-release request`, for two people to approve",
    ),
    "casehaven.ledger.errors.UnknownChargeError": Outcome(
        exit_code=EXIT_REFUSED, advice="use the ledger that issued the receipt: --ledger or CASEHAVEN_LEDGER"
    ),
    "casehaven.intake.errors.CaseFileError": Outcome(
        exit_code=EXIT_REFUSED, advice="correct the file at the place named above, and run the command again"
    ),
    "casehaven.intake.errors.FileKindError": Outcome(
        exit_code=EXIT_REFUSED, advice="save the table as CSV in UTF-8 with commas, or as Parquet"
    ),
    "casehaven.intake.errors.HeaderError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="write the names of the schema's columns in the first row, each once; see `casehaven schema show SCHEMA`",
    ),
    "casehaven.intake.errors.PersonColumnError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="name a column that tells persons apart with --person-key, or declare --row-is-person where that is true",
    ),
    "casehaven.intake.errors.EncodingError": Outcome(exit_code=EXIT_REFUSED, advice="save the file as CSV in UTF-8"),
    "casehaven.intake.errors.UnknownColumnsError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="name a column that may be left unread with --ignore-column, or use the schema that has it",
    ),
    "casehaven.intake.errors.MissingColumnsError": Outcome(
        exit_code=EXIT_REFUSED, advice="add the columns, empty where nothing is known, or use the schema of this file"
    ),
    "casehaven.intake.errors.ConsentError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="add the consent column to every file, or state the ground with --legal-basis TEXT",
    ),
    "casehaven.intake.errors.ExistingMappedFileError": Outcome(
        exit_code=EXIT_REFUSED, advice="name another file with -o; add --replace only if the old one may go"
    ),
    "casehaven.intake.readers.errors.TooLargeError": Outcome(
        exit_code=EXIT_REFUSED, advice="export fewer records at a time, and take in the files one after the other"
    ),
    "casehaven.intake.readers.errors.PasswordError": Outcome(
        exit_code=EXIT_REFUSED, advice="ask whoever exported the file for its password"
    ),
    "casehaven.intake.readers.errors.EncryptedRecordsError": Outcome(
        exit_code=EXIT_REFUSED, advice="export the records again, with the passphrase of the form's key"
    ),
    "casehaven.intake.readers.errors.SheetError": Outcome(
        exit_code=EXIT_REFUSED, advice="name the sheet, or the file in the ZIP"
    ),
    "casehaven.intake.readers.errors.FormNotRecordsError": Outcome(
        exit_code=EXIT_REFUSED, advice="give the export of the records; the form goes beside it"
    ),
    "casehaven.intake.readers.errors.DamagedFileError": Outcome(
        exit_code=EXIT_REFUSED, advice="export the file again, or ask for it again"
    ),
    "casehaven.intake.readers.errors.CellError": Outcome(
        exit_code=EXIT_REFUSED, advice="open the file in a spreadsheet program, correct the cell, and save it"
    ),
    "casehaven.intake.readers.errors.ReaderStoppedError": Outcome(
        exit_code=EXIT_REFUSED, advice="split the file into smaller ones, or export it again"
    ),
    "casehaven.intake.errors.UnconfirmedMappingError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="run it at a terminal, where you are asked; or save the mapping with --save-mapping, look at it, and add --mapping FILE --yes",
    ),
    "casehaven.intake.errors.PersonUndecidedError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="name the column with --person-key, or say --row-is-person if nobody is in the file twice",
    ),
    "casehaven.intake.errors.RecordOfAnotherError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="if the file counts its records as another file does: --record-key with another column, or none; if a person is written in another way: "
        "write them as before, or put their refusals into the new file and erase the earlier person first (docs/spec/intake.md)",
    ),
    "casehaven.intake.errors.RefusedRowsError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="correct the rows in the file, or add --refused FILE: they are sealed into it, and the others are taken in",
    ),
    "casehaven.intake.errors.ChangedCaseFileError": Outcome(
        exit_code=EXIT_REFUSED, advice="run the command again when nothing else writes to the file"
    ),
    "casehaven.intake.errors.PreparedFileError": Outcome(
        exit_code=EXIT_REFUSED, advice="ask the organisation to prepare and send the file again; nothing was taken in"
    ),
    "casehaven.intake.errors.PreparedForAnotherError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="name the right --organisation, or give the sender the key of today: casehaven vault keys public",
    ),
    "casehaven.intake.errors.PreparedSchemaError": Outcome(
        exit_code=EXIT_REFUSED, advice="agree on one schema and version, and prepare the file again with it"
    ),
    "casehaven.intake.errors.PrepareError": Outcome(
        exit_code=EXIT_REFUSED, advice="see `casehaven prepare --help`; nothing was written"
    ),
    "casehaven.intake.errors.LinkageKeyError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="ask a partner of the agreement for its key, or make the first one: casehaven linkage create",
    ),
    "casehaven.intake.errors.PublicKeyFileError": Outcome(
        exit_code=EXIT_REFUSED, advice="ask who keeps the vault for the key again, and compare its fingerprint"
    ),
    "casehaven.intake.errors.NobodyToPrepareError": Outcome(
        exit_code=EXIT_REFUSED, advice="look at the mapping: which rows it leaves out, and what tells people apart"
    ),
    "casehaven.intake.errors.ExistingPreparedFileError": Outcome(
        exit_code=EXIT_REFUSED, advice="name another file with -o; add --replace if the old one may go"
    ),
    "casehaven.generate.errors.GenerateError": Outcome(
        exit_code=EXIT_REFUSED, advice="see `casehaven generate --help`"
    ),
    "casehaven.generate.errors.OutputError": Outcome(
        exit_code=EXIT_REFUSED, advice="name another file with -o, or free some space"
    ),
    "casehaven.generate.errors.ExistingFileError": Outcome(
        exit_code=EXIT_REFUSED, advice="name another file with -o; add --replace only if it holds made-up records"
    ),
    "casehaven.releases.service.DraftError": Outcome(exit_code=EXIT_REFUSED, advice="see `casehaven release --help`"),
    "casehaven.releases.service.PersonTokensError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="add --person-tokens shared or --person-tokens separate; ask the organisations how their tokens were made",
    ),
    "casehaven.releases.published.ReleaseFactsError": Outcome(
        exit_code=EXIT_REFUSED, advice="use the version of casehaven that made this bundle; `manifest.json` names it"
    ),
    "casehaven.releases.published.SchemaNeededError": Outcome(
        exit_code=EXIT_REFUSED, advice="name the file of that schema with --schema"
    ),
    "casehaven.releases.published.SchemaMismatchError": Outcome(
        exit_code=EXIT_REFUSED, advice="name the schema, in the version, that the release was made with: --schema"
    ),
    "casehaven.releases.indicators.roles.RolesError": Outcome(
        exit_code=EXIT_REFUSED, advice="correct the file of roles at the place named above"
    ),
    "casehaven.releases.indicators.roles.RolesNeededError": Outcome(
        exit_code=EXIT_REFUSED, advice="write a file of roles for the schema and name it with --roles"
    ),
    "casehaven.releases.indicators.files.ExistingTablesError": Outcome(
        exit_code=EXIT_REFUSED, advice="name another folder with -o, or add --replace"
    ),
    "casehaven.releases.comparison.changes.SameReleaseError": Outcome(
        exit_code=EXIT_REFUSED, advice="name two different releases, the earlier one first"
    ),
    "casehaven.releases.comparison.changes.DifferentDomainsError": Outcome(
        exit_code=EXIT_REFUSED, advice="compare releases that were made with the same version of the same schema"
    ),
    "casehaven.cli.compare.ExistingPageError": Outcome(
        exit_code=EXIT_REFUSED, advice="name another file with -o, or add --replace"
    ),
    "casehaven.people.errors.PeopleError": Outcome(exit_code=EXIT_REFUSED, advice="see `casehaven person --help`"),
    "casehaven.people.errors.SeveralPeopleError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="give the person token instead; see who they are with `casehaven person duplicates`",
    ),
    "casehaven.people.errors.ReasonNeededError": Outcome(
        exit_code=EXIT_REFUSED, advice="say in a few words why, with --reason; it is kept sealed"
    ),
    "casehaven.people.errors.CorrectionError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="see the attributes and what each may hold: `casehaven schema show SCHEMA --attribute NAME`",
    ),
    "casehaven.people.errors.SeveralRecordsError": Outcome(
        exit_code=EXIT_REFUSED, advice="look at them with `casehaven person show`, then add --record NUMBER"
    ),
    "casehaven.people.errors.ConsentFactError": Outcome(
        exit_code=EXIT_REFUSED, advice="correct --purpose, --language or --dated; nothing was recorded"
    ),
    "casehaven.people.errors.ExistingPersonFileError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="name another file; for the receipt of an erasure that is done: `casehaven person erase --receipt-again NUMBER`",
    ),
    "casehaven.people.errors.ExportNameError": Outcome(
        exit_code=EXIT_REFUSED, advice="name a new file: .txt to read, .json to take elsewhere, .csv to open as a table"
    ),
    "casehaven.people.errors.NotConfirmedError": Outcome(
        exit_code=EXIT_REFUSED, advice="type ERASE in capitals when asked, or add --yes"
    ),
    "casehaven.people.errors.RetentionError": Outcome(
        exit_code=EXIT_REFUSED, advice="give a day from today on, or 1 to 1200 months"
    ),
    "casehaven.statistics.errors.StatisticsError": Outcome(
        exit_code=EXIT_REFUSED, advice="see `casehaven tables --help`"
    ),
    "casehaven.statistics.errors.NobodyCountedError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="consent for own statistics comes with the case file, or is recorded with `casehaven person consent`",
    ),
    "casehaven.statistics.errors.YearError": Outcome(
        exit_code=EXIT_REFUSED, advice="correct --year, or leave it away to count all years"
    ),
    "casehaven.statistics.errors.ExistingTableFileError": Outcome(
        exit_code=EXIT_REFUSED, advice="name another file with -o, or add --replace"
    ),
    "casehaven.statistics.errors.TableFileKindError": Outcome(
        exit_code=EXIT_REFUSED, advice="name a file that ends in .xlsx for a spreadsheet or .html for a browser"
    ),
    "casehaven.cli.demo.DemoFolderError": Outcome(
        exit_code=EXIT_REFUSED, advice="name an empty or new folder with --out"
    ),
    "casehaven.core.audit.AuditError": Outcome(exit_code=EXIT_REFUSED, advice="see `casehaven audit --help`"),
    "casehaven.core.audit_checkpoint.CheckpointError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="check that the file is whole and of this vault; if it is, the vault is another one",
    ),
    "casehaven.cli.audit.AuditNotWholeError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="change nothing; copy the vault as it is, and compare it with the checkpoints that partners keep and with the backups",
    ),
    "casehaven.cli.audit.NoCheckpointYetError": Outcome(
        exit_code=EXIT_REFUSED, advice="ask again when the period is over; checkpoints are made for fixed times only"
    ),
    "casehaven.cli.audit.ExistingCheckpointError": Outcome(
        exit_code=EXIT_REFUSED, advice="name another file with -o; a checkpoint is never overwritten"
    ),
    "casehaven.core.errors.DatabaseError": Outcome(
        exit_code=EXIT_REFUSED, advice="read the message above; nothing was written by halves"
    ),
    "casehaven.core.errors.DatabaseMissingError": Outcome(
        exit_code=EXIT_REFUSED, advice="check the vault's folder, or that the database server runs and lets you in"
    ),
    "casehaven.core.errors.DatabaseExistsError": Outcome(
        exit_code=EXIT_REFUSED, advice="name an empty database with --database, or leave it away"
    ),
    "casehaven.core.errors.DatabaseBusyError": Outcome(
        exit_code=EXIT_REFUSED, advice="run the same command again when the other work is done"
    ),
    "casehaven.core.errors.DatabaseStorageError": Outcome(
        exit_code=EXIT_REFUSED, advice="free space or repair the folder's permissions, then run the same command again"
    ),
    "casehaven.core.errors.DatabaseDamagedError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="change nothing; copy the vault as it is, and restore a backup with `casehaven restore`",
    ),
    "casehaven.core.errors.DatabaseVersionError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="older tables: make a backup, then `casehaven vault upgrade`; newer ones: use the newer casehaven",
    ),
    "casehaven.vault.errors.VaultError": Outcome(exit_code=EXIT_REFUSED, advice="see `casehaven vault --help`"),
    "casehaven.vault.errors.SealBrokenError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="change nothing; if the right vault, keystore and root key were named, restore a backup with `casehaven restore`",
    ),
    "casehaven.vault.errors.RootKeyError": Outcome(
        exit_code=EXIT_REFUSED, advice="name the root key of this vault with --root-key or CASEHAVEN_ROOT_KEY"
    ),
    "casehaven.vault.errors.LooseRootKeyError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="`chmod 600` the file; if others could read it, make another root key with `casehaven vault keys rotate root`",
    ),
    "casehaven.vault.errors.RootKeyProviderError": Outcome(
        exit_code=EXIT_REFUSED, advice="check that the token is there, its label, the key's label and the PIN"
    ),
    "casehaven.vault.errors.KeystoreError": Outcome(
        exit_code=EXIT_REFUSED, advice="check the keystore's folder, its permissions and the space on the disk"
    ),
    "casehaven.vault.errors.KeystoreMissingError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="put the keystore back where it was, or restore a copy of it with `casehaven vault keys restore`",
    ),
    "casehaven.vault.errors.KeystoreExistsError": Outcome(
        exit_code=EXIT_REFUSED, advice="name a folder that does not exist yet; keys are never overwritten"
    ),
    "casehaven.vault.errors.DamagedKeystoreError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="keep the damaged keystore as it is, and restore a copy with `casehaven vault keys restore`",
    ),
    "casehaven.vault.errors.KeystoreVersionError": Outcome(
        exit_code=EXIT_REFUSED, advice="use the version of casehaven that wrote this keystore, or a newer one"
    ),
    "casehaven.vault.errors.UnknownOrganisationError": Outcome(
        exit_code=EXIT_REFUSED, advice="see the organisations with `casehaven vault keys show`"
    ),
    "casehaven.vault.errors.EpochError": Outcome(
        exit_code=EXIT_REFUSED, advice="see the epochs with `casehaven vault keys show`"
    ),
    "casehaven.vault.errors.EscrowError": Outcome(
        exit_code=EXIT_REFUSED, advice="see `casehaven vault keys escrow --help`; nothing was opened"
    ),
    "casehaven.vault.errors.CustodianKeyError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="name the custodian's own key file, or make one with `casehaven vault keys escrow custodian`",
    ),
    "casehaven.vault.errors.EscrowExpiredError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="wait until the time has come; when it is over, write a new request with `casehaven vault keys escrow request`",
    ),
    "casehaven.vault.errors.VaultMissingError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="name the vault with --vault or CASEHAVEN_VAULT, or make one with `casehaven vault create`",
    ),
    "casehaven.vault.errors.VaultExistsError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="use the vault that is there, or name another folder; a vault is never overwritten",
    ),
    "casehaven.vault.errors.VaultFormatError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="use the version of casehaven that made this vault, with the database that belongs to it",
    ),
    "casehaven.vault.errors.ChangedVaultFileError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="find out who changed it and put the right one back; after escrow, name the anchor with `casehaven audit anchor --at`",
    ),
    "casehaven.vault.errors.VaultBusyError": Outcome(
        exit_code=EXIT_REFUSED, advice="run the same command again when the other work is done"
    ),
    "casehaven.vault.errors.DatasetNameError": Outcome(
        exit_code=EXIT_REFUSED, advice="write the dataset as organisation/dataset in small letters"
    ),
    "casehaven.vault.errors.DatasetExistsError": Outcome(
        exit_code=EXIT_REFUSED, advice="see what is there with `casehaven vault status`"
    ),
    "casehaven.vault.errors.DatasetMissingError": Outcome(
        exit_code=EXIT_REFUSED, advice="see what is there with `casehaven vault status`"
    ),
    "casehaven.vault.errors.SchemaDiffersError": Outcome(
        exit_code=EXIT_REFUSED, advice="use the schema of the dataset, which `casehaven vault status` names"
    ),
    "casehaven.vault.errors.UnknownPersonError": Outcome(
        exit_code=EXIT_REFUSED, advice="look the person up again with `casehaven person find`"
    ),
    "casehaven.vault.errors.UnknownRecordError": Outcome(
        exit_code=EXIT_REFUSED, advice="look at the person's records again with `casehaven person show`"
    ),
    "casehaven.vault.errors.DamagedChunkError": Outcome(
        exit_code=EXIT_REFUSED, advice="change nothing; restore a backup with `casehaven restore`"
    ),
    "casehaven.vault.errors.PurposeRefusedError": Outcome(
        exit_code=EXIT_REFUSED, advice="use `casehaven release`, which charges the ledger first"
    ),
    "casehaven.vault.errors.SnapshotChangedError": Outcome(
        exit_code=EXIT_REFUSED, advice="run the same command again when nobody else changes the dataset"
    ),
    "casehaven.vault.errors.AnchorMissingError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="attach the storage that holds the anchor; if it is lost for good, `casehaven audit anchor` makes a new one",
    ),
    "casehaven.vault.errors.AnchorExistsError": Outcome(
        exit_code=EXIT_REFUSED, advice="use the anchor that is there; it remembers what must not be forgotten"
    ),
    "casehaven.vault.errors.BrokenAnchorError": Outcome(
        exit_code=EXIT_REFUSED, advice="find the right copy of the anchor; this one was damaged, or is another vault's"
    ),
    "casehaven.vault.errors.RolledBackError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="find out who put an earlier copy back; to use a backup, run `casehaven restore` with the newest anchor",
    ),
    "casehaven.vault.errors.BackupError": Outcome(
        exit_code=EXIT_REFUSED, advice="check the folder, its permissions and the space on the disk"
    ),
    "casehaven.vault.errors.BackupExistsError": Outcome(
        exit_code=EXIT_REFUSED, advice="name a folder that does not exist yet; nothing is overwritten"
    ),
    "casehaven.vault.errors.DamagedBackupError": Outcome(
        exit_code=EXIT_REFUSED, advice="use another backup; try backups in time with `casehaven drill`"
    ),
    "casehaven.vault.errors.BackupVersionError": Outcome(
        exit_code=EXIT_REFUSED, advice="use the version of casehaven that wrote this backup, or a newer one"
    ),
    "casehaven.vault.errors.BackupEpochError": Outcome(
        exit_code=EXIT_REFUSED, advice="use a backup from after the epoch began, or the key backup of that time"
    ),
    "casehaven.vault.errors.DrillError": Outcome(
        exit_code=EXIT_REFUSED, advice="make a new backup now, and run the drill on it"
    ),
    # casesynth
    "casesynth.errors.CasesynthError": Outcome(
        exit_code=EXIT_REFUSED, advice="read the message above; nothing was released"
    ),
    "casesynth.privacy.loss.PrivacyLossError": Outcome(
        exit_code=EXIT_REFUSED, advice="give a positive epsilon and delta within the limits named above"
    ),
    "casesynth.plan.PlanError": Outcome(
        exit_code=EXIT_REFUSED, advice="change what the message names; nothing was charged"
    ),
    "casesynth.kanonymity.errors.KModeError": Outcome(
        exit_code=EXIT_REFUSED, advice="change what the message names; nothing was written"
    ),
    "casesynth.kanonymity.errors.BrokenPromiseError": Outcome(
        exit_code=EXIT_REFUSED, advice="report it to the maintainers, without any case file; nothing was written"
    ),
    "casesynth.persons.PersonKeyError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="complete the column of person keys, or declare --row-is-person where that is true",
    ),
    "casesynth.persons.PeopleCapError": Outcome(exit_code=EXIT_REFUSED, advice="declare a larger --people-cap"),
    "casesynth.sources.RecordsFileError": Outcome(
        exit_code=EXIT_REFUSED, advice="name a whole Parquet file, and leave it alone until the release is done"
    ),
    "casesynth.encode.UnknownColumnError": Outcome(
        exit_code=EXIT_REFUSED, advice="add the columns, empty where nothing is known"
    ),
    "casesynth.encode.RepeatedColumnError": Outcome(
        exit_code=EXIT_REFUSED, advice="give every column a name of its own"
    ),
    "casesynth.encode.ColumnTypeError": Outcome(
        exit_code=EXIT_REFUSED, advice="store the column as text in UTF-8, numbers or dates, one value in each cell"
    ),
    "casesynth.bundle.BundleExistsError": Outcome(
        exit_code=EXIT_REFUSED, advice="name a folder that does not exist yet with --out; a bundle is never overwritten"
    ),
    "casesynth.tables.TableFormatError": Outcome(
        exit_code=EXIT_REFUSED, advice="use the version of casehaven that made this bundle; `manifest.json` names it"
    ),
    "casesynth.manifest.ChangedFileError": Outcome(
        exit_code=EXIT_REFUSED, advice="do not use this bundle; fetch it again from the organisation that released it"
    ),
    "casesynth.manifest.ManifestError": Outcome(
        exit_code=EXIT_REFUSED, advice="check that the folder is a whole release bundle; if it is, fetch it again"
    ),
    "casesynth.manifest.UnknownSignerError": Outcome(
        exit_code=EXIT_UNKNOWN_SIGNER,
        advice="compare the fingerprint with the signer over another channel, then `casehaven keys trust add`",
    ),
    "casesynth.signing.BadSignatureError": Outcome(
        exit_code=EXIT_REFUSED, advice="do not use this bundle; fetch it again from the organisation that released it"
    ),
    "casesynth.signing.SigningKeyError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="name the key with --key or CASEHAVEN_KEY, or make one with `casehaven keys create`",
    ),
    "casesynth.signing.PassphraseNeededError": Outcome(
        exit_code=EXIT_REFUSED, advice="set CASEHAVEN_KEY_PASSPHRASE, or run the command in a terminal and type it"
    ),
    "casesynth.signing.LooseKeyFileError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="`chmod 600` the file; if others could read it, make a new key with `casehaven keys create`",
    ),
    "casesynth.signing.PublicKeyError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="give a bundle, a manifest.sig, or the public key that `casehaven keys show` prints",
    ),
    "casesynth.signing.TrustStoreError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="see what is trusted with `casehaven keys trust list`; a new store starts with `casehaven keys trust add`",
    ),
    # caseschemas
    "caseschemas.errors.CaseschemasError": Outcome(
        exit_code=EXIT_REFUSED, advice="see every fault with its place: `casehaven schema check FILE`"
    ),
    "caseschemas.errors.MappingFaultsError": Outcome(
        exit_code=EXIT_REFUSED, advice="correct the mapping at the places named above"
    ),
    "caseschemas.errors.UnknownMappingError": Outcome(
        exit_code=EXIT_REFUSED,
        advice="see which schemas a shipped one maps to with `casehaven schema docs`, or write a mapping for --mapping",
    ),
    "caseschemas.errors.UnknownSchemaError": Outcome(
        exit_code=EXIT_REFUSED, advice="see the schemas that come with Casehaven: `casehaven schema list`"
    ),
    "casehaven.cli.schema.ExistingCodebookError": Outcome(
        exit_code=EXIT_REFUSED, advice="name another file with -o, or add --replace"
    ),
    "casehaven.cli.schema.UnknownAttributeError": Outcome(
        exit_code=EXIT_REFUSED, advice="see the attributes of the schema: `casehaven schema show SCHEMA`"
    ),
}
"""The table: full class name to outcome."""

_FULL_DISK = Outcome(exit_code=EXIT_REFUSED, advice="free some space on the disk and run the same command again")
_FILE_ACCESS = Outcome(exit_code=EXIT_REFUSED, advice="check the path and its permissions")


def outcome_of(error: BaseException) -> Outcome | None:
    """Return what to do about an error, or None when it is a fault of the program.

    >>> outcome_of(CasehavenError("refused")).exit_code
    1
    >>> outcome_of(ZeroDivisionError()) is None
    True
    """
    for ancestor in type(error).__mro__:
        found = OUTCOMES.get(f"{ancestor.__module__}.{ancestor.__qualname__}")
        if found is not None:
            return found
    if isinstance(error, OSError):
        return _FULL_DISK if error.errno in (errno.ENOSPC, errno.EDQUOT) else _FILE_ACCESS
    return None
