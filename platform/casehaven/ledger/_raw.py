"""Statements of a charge, which run beneath SQLAlchemy on its connection: every charge waits for them, and for the disk.

1. One text is for both databases. `:name` is a parameter, a list is a parameter too; `texts(:name)` and `numbers(:name)` are the rows of a list. `{lock}` locks
   rows where the database does that by row.
2. They run in the transaction of the connection that they are given, and raise the driver's own errors, which the store translates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

_IN = re.compile(r"IN \((texts|numbers)\(:(\w+)\)\)")
_LIST = re.compile(r"(texts|numbers)\(:(\w+)\)")
_NAME = re.compile(r":(\w+)")
_KEPT = "casehaven_cursor"
_ARRAYS = {"texts": "TEXT[]", "numbers": "BIGINT[]"}


class RawStatement:
    """One statement for both databases.

    >>> made = RawStatement("SELECT 1 FROM account WHERE block IN (texts(:blocks)) AND account_id = :id{lock}", lock="account")
    >>> made.sqlite
    'SELECT 1 FROM account WHERE block IN (SELECT value FROM json_each(:blocks)) AND account_id = :id'
    >>> made.postgresql
    'SELECT 1 FROM account WHERE block = ANY (CAST(%(blocks)s AS TEXT[])) AND account_id = %(id)s FOR UPDATE OF account'
    """

    def __init__(self, template: str, *, lock: str = "") -> None:
        self.sqlite = _LIST.sub(r"SELECT value FROM json_each(:\2)", template.replace("{lock}", ""))
        arrays = _IN.sub(lambda found: f"= ANY (CAST(:{found[2]} AS {_ARRAYS[found[1]]}))", template)
        rows = _LIST.sub(
            lambda found: f"SELECT value FROM unnest(CAST(:{found[2]} AS {_ARRAYS[found[1]]})) AS listed(value)", arrays
        )
        self.postgresql = _NAME.sub(r"%(\1)s", rows.replace("{lock}", f" FOR UPDATE OF {lock}" if lock else ""))

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run it and return all rows."""
        found: list[tuple[Any, ...]] = self._run(connection, parameters).fetchall()
        return found

    def run(self, connection: Connection, parameters: Mapping[str, Any]) -> None:
        """Run it."""
        self._run(connection, parameters)

    def _run(self, connection: Connection, parameters: Mapping[str, Any]) -> Any:
        cursor = _cursor(connection)
        if connection.dialect.name == "postgresql":
            return cursor.execute(self.postgresql, parameters)
        lists = {name: json.dumps(value) for name, value in parameters.items() if isinstance(value, list)}
        return cursor.execute(self.sqlite, {**parameters, **lists})


def _cursor(connection: Connection) -> Any:
    """The cursor that a driver's connection keeps for these statements."""
    kept: dict[str, Any] = connection.info
    if _KEPT not in kept:
        kept[_KEPT] = connection.connection.cursor()
    return kept[_KEPT]
