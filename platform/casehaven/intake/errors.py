"""What can be wrong with a case file. Messages name files, columns and rows, never a cell."""

from __future__ import annotations

from casehaven.errors import CasehavenError


class CaseFileError(CasehavenError):
    """A case file that cannot be read as it is."""


class FileKindError(CaseFileError):
    """Neither CSV nor Parquet, or not readable as what its name says."""


class EncodingError(CaseFileError):
    """Text that is not UTF-8."""


class HeaderError(CaseFileError):
    """No header, a name twice, or a separator other than the comma."""


class UnknownColumnsError(CaseFileError):
    """Columns that the schema does not have."""


class MissingColumnsError(CaseFileError):
    """Columns of the schema that the file does not have."""


class RaggedRowError(CaseFileError):
    """A row with more or fewer cells than the header."""


class ChangedCaseFileError(CaseFileError):
    """The file changed while it was being used."""


class PersonColumnError(CaseFileError):
    """The column that was named as person key holds something else."""


class ConsentError(CaseFileError):
    """Neither consent columns nor a stated legal basis, or consent columns in some files only."""


class ExistingMappedFileError(CaseFileError):
    """A file of that name exists; it might hold case records, so it is only replaced on demand."""


class PreparedFileError(CaseFileError):
    """A prepared file that is not whole, was sealed for another organisation, or holds what `prepare` does not write."""


class PreparedForAnotherError(PreparedFileError):
    """A prepared file that was sealed to a key which the organisation does not have."""


class PreparedKeyError(PreparedFileError):
    """A prepared file whose tokens were made under another linkage key than those of the dataset."""


class PreparedOrderError(PreparedFileError):
    """A prepared file that is older than one that the dataset has, or says no time."""


class PreparedSchemaError(PreparedFileError):
    """A prepared file with records of another schema."""


class PrepareError(CasehavenError):
    """What an organisation needs to prepare records is not there or not right; nothing was written."""


class LinkageKeyError(PrepareError):
    """A linkage key that cannot be read or written."""


class PublicKeyFileError(PrepareError):
    """A file with an organisation's public key that cannot be used, or is of another organisation."""


class NobodyToPrepareError(PrepareError):
    """No record is left to be sealed."""


class ExistingPreparedFileError(PrepareError):
    """A file of that name exists; it is only replaced on demand."""


class UnconfirmedMappingError(CaseFileError):
    """A mapping with guesses, or an intake, that nobody said yes to."""


class PersonUndecidedError(CaseFileError):
    """Nobody has said what tells people apart in a file."""


class RecordOfAnotherError(CaseFileError):
    """A record key of the file is held by another person of the dataset."""


class RefusedRowsError(CaseFileError):
    """Rows cannot be taken in, and nobody said what is to become of them."""
