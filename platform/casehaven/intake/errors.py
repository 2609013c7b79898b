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
