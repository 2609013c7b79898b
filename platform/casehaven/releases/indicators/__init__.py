"""Indicator tables: what official statistics ask for, as a workbook and a page, from a published release alone."""

from casehaven.releases.indicators.files import ExistingTablesError, WrittenTables, write_indicators
from casehaven.releases.indicators.roles import (
    Roles,
    RolesError,
    RolesNeededError,
    parse_roles,
    read_roles,
    shipped_roles,
)
from casehaven.releases.indicators.tables import IndicatorTable, indicator_tables

__all__ = [
    "ExistingTablesError",
    "IndicatorTable",
    "Roles",
    "RolesError",
    "RolesNeededError",
    "WrittenTables",
    "indicator_tables",
    "parse_roles",
    "read_roles",
    "shipped_roles",
    "write_indicators",
]
