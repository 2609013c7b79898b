"""What can be wrong with a file from outside, beyond what can be wrong with any case file."""

from __future__ import annotations

from casehaven.intake.errors import CaseFileError, EncodingError, FileKindError, HeaderError, RaggedRowError


class TooLargeError(CaseFileError):
    """The file is over a bound: bytes, rows, columns, a cell, unpacked bytes, depth, memory."""


class PasswordError(CaseFileError):
    """A password is missing or does not open the file."""


class EncryptedRecordsError(CaseFileError):
    """The tool exported records without deciphering them."""


class SheetError(CaseFileError):
    """The file has no table of the name asked for, or several and none was named."""


class FormNotRecordsError(CaseFileError):
    """An XLSForm where records were expected, or the other way round."""


class DamagedFileError(CaseFileError):
    """The bytes are not what they say they are."""


class CellError(CaseFileError):
    """A cell that cannot be read as it is, such as a formula without a stored result."""


class ReaderStoppedError(CaseFileError):
    """Reading took too long, or ended without a word."""


BY_KIND: dict[str, type[CaseFileError]] = {
    "kind": FileKindError,
    "encoding": EncodingError,
    "header": HeaderError,
    "ragged": RaggedRowError,
    "large": TooLargeError,
    "password": PasswordError,
    "encrypted": EncryptedRecordsError,
    "sheet": SheetError,
    "form": FormNotRecordsError,
    "damaged": DamagedFileError,
    "rows": CellError,
}
"""Kind of a fault, as the parsing process says it, to the error that is raised."""
