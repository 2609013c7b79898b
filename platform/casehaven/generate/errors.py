"""Why made-up case records could not be generated."""

from __future__ import annotations

from casehaven.errors import CasehavenError

__all__ = ["ExistingFileError", "GenerateError", "OutputError", "RequestError"]


class GenerateError(CasehavenError):
    """Root of the generator's errors."""


class RequestError(GenerateError):
    """The number of people, the seed or the number of organisations is out of range, or the suffix is not one that is written."""


class OutputError(GenerateError):
    """The file could not be written; nothing of it was left behind."""


class ExistingFileError(OutputError):
    """A file of that name exists; it might hold real case records, so it is only replaced on demand."""
