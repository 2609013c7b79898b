"""What can go wrong when a person's records are read, corrected, exported or erased.

Messages name datasets, fields and limits, never a case reference, a value or whether a person is known elsewhere.
"""

from __future__ import annotations

from casehaven.errors import CasehavenError


class PeopleError(CasehavenError):
    """Root of the errors about people in a vault."""


class SeveralPeopleError(PeopleError):
    """Several people of one dataset stand under the same case reference."""


class ReasonNeededError(PeopleError):
    """A person's records were asked for without a reason."""


class TextError(PeopleError):
    """Something that was typed is no text: bytes of another encoding are in it."""


class CorrectionError(PeopleError):
    """A correction that names no attribute of the schema, a value outside its list, or no record."""


class SeveralRecordsError(CorrectionError):
    """A person has several records and the correction does not say which one it means."""


class ConsentFactError(PeopleError):
    """A consent with a purpose, date or language that cannot be."""


class ExistingPersonFileError(PeopleError):
    """A file of that name exists; what it holds is not overwritten."""


class RetentionError(PeopleError):
    """A retention date that is not one, or nothing to do with a timer."""


class NotConfirmedError(PeopleError):
    """An erasure was asked for and not confirmed."""


class ExportNameError(PeopleError):
    """The name of an export does not say what kind of file it is."""
