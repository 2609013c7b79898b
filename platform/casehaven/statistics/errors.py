"""What can go wrong with own statistics. Messages name datasets, files and limits, never a value or a number of people."""

from __future__ import annotations

from casehaven.errors import CasehavenError


class StatisticsError(CasehavenError):
    """Own statistics that cannot be made."""


class NobodyCountedError(StatisticsError):
    """Nobody in the dataset has consent for own statistics, or nobody was registered in the years asked for."""


class YearError(StatisticsError):
    """Years were asked for and the schema records no year of registration, or not that year."""


class ExistingTableFileError(StatisticsError):
    """A file of that name exists and was not to be replaced."""


class TableFileKindError(StatisticsError):
    """The name of a file of tables does not say what kind of file it is."""
