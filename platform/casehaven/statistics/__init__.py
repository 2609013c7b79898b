"""Own statistics: exact tables of an organisation's own people who consented to it. Not for release, and no release imports this package."""

from casehaven.statistics.errors import NobodyCountedError, StatisticsError
from casehaven.statistics.exact import ExactTable, Percent
from casehaven.statistics.marking import MARK
from casehaven.statistics.screen import screen
from casehaven.statistics.service import OwnStatistics, check_target, own_statistics, write_tables

__all__ = [
    "MARK",
    "ExactTable",
    "NobodyCountedError",
    "OwnStatistics",
    "Percent",
    "StatisticsError",
    "check_target",
    "own_statistics",
    "screen",
    "write_tables",
]
