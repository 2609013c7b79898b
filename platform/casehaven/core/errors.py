"""What can go wrong with the database. Messages name files, servers and versions, never a row."""

from __future__ import annotations

from casehaven.errors import CasehavenError


class DatabaseError(CasehavenError):
    """The database cannot be used."""


class DatabaseMissingError(DatabaseError):
    """There is no database where one was named, or it may not be opened."""


class DatabaseExistsError(DatabaseError):
    """A database is there already, where a new one was to be made."""


class DatabaseBusyError(DatabaseError):
    """Others held the database for longer than one waits."""


class DatabaseStorageError(DatabaseError):
    """The disk is full, failing or read-only."""


class DatabaseDamagedError(DatabaseError):
    """The database found a page or a row that it cannot read."""


class DatabaseVersionError(DatabaseError):
    """The tables are of another version than this software knows."""
