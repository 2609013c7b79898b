"""What can go wrong when the service starts."""

from __future__ import annotations

from casehaven.errors import CasehavenError


class ServeError(CasehavenError):
    """The service cannot start as it was asked to."""


class OpenAddressError(ServeError):
    """An address that others reach, without a certificate and without a declared proxy."""


class AddressTakenError(ServeError):
    """An address or port that cannot be listened on: another program has it, or it is not of this computer."""


class ApiKeyError(ServeError):
    """The api's key is damaged, or readable by others."""


class OtherApproversError(ServeError):
    """The ledger is there, and names others than those who were given."""


class UnfinishedFolderError(ServeError):
    """A part of the service's folder is missing, and was there before."""
