"""Statements of a charge, which run beneath SQLAlchemy on its connection: every charge waits for them, and for the disk.

1. One text is for both databases. `:name` is a parameter, a list is a parameter too; `texts(:name)` and `numbers(:name)` are the rows of a list, and
   `gathered(column)` makes of rows a list that can be a parameter as it is. `{lock}` locks rows where the database does that by row.
2. They run in the transaction of the connection that they are given, and raise the driver's own errors, which the store translates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

_IN = re.compile(r"IN \((texts|numbers)\(:(\w+)\)\)")
_LIST = re.compile(r"(texts|numbers)\(:(\w+)\)")
_GATHERED = re.compile(r"gathered\(([\w.]+)\)")
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
        self._lists = tuple({name for _, name in _LIST.findall(template)})
        self.sqlite = _LIST.sub(
            r"SELECT value FROM json_each(:\2)", _GATHERED.sub(r"json_group_array(\1)", template.replace("{lock}", ""))
        )
        arrays = _IN.sub(lambda found: f"= ANY (CAST(:{found[2]} AS {_ARRAYS[found[1]]}))", template)
        rows = _LIST.sub(
            lambda found: f"SELECT value FROM unnest(CAST(:{found[2]} AS {_ARRAYS[found[1]]})) AS listed(value)", arrays
        )
        rows = _GATHERED.sub(r"CAST(array_agg(\1) AS TEXT)", rows).replace(
            "{lock}", f" FOR UPDATE OF {lock}" if lock else ""
        )
        self.postgresql = _NAME.sub(r"%(\1)s", rows)

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run it and return all rows."""
        found: list[tuple[Any, ...]] = self._run(connection, parameters).fetchall()
        return found

    def run(self, connection: Connection, parameters: Mapping[str, Any]) -> None:
        """Run it."""
        self._run(connection, parameters)

    def _run(self, connection: Connection, parameters: Mapping[str, Any]) -> Any:
        cursor = _cursor(connection)
        postgresql = connection.dialect.name == "postgresql"
        written = _array if postgresql else json.dumps
        lists = {name: written(parameters[name]) for name in self._lists if not isinstance(parameters[name], str)}
        return cursor.execute(
            self.postgresql if postgresql else self.sqlite, {**parameters, **lists} if lists else parameters
        )


def _array(values: Sequence[object]) -> str:
    r"""Write a list as Postgres reads it.

    >>> print(_array([1, 22]), _array(["", "2020", 'a"b\\c']))
    {"1","22"} {"","2020","a\"b\\c"}
    """
    escaped = (str(value).replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in escaped) + "}"


def _cursor(connection: Connection) -> Any:
    """The cursor that a driver's connection keeps for these statements."""
    kept: dict[str, Any] = connection.info
    if _KEPT not in kept:
        kept[_KEPT] = connection.connection.cursor()
    return kept[_KEPT]
