"""What the database itself refuses, whatever the code above it believes (privacy rules 14 and 19).

1. No row is deleted. A balance never falls, and never passes the ceiling that the anchor knows.
2. A cap rises only together with a raise that names the new cap. A charge only advances; a mark, a decision, an answer, an entry never changes.
3. The same conditions on both databases: SQLite raises from the trigger, Postgres from a function of the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Dialect = Literal["sqlite", "postgresql"]

_NEVER_DELETED = (
    "ledger",
    "dataset",
    "vault_of_dataset",
    "approvers",
    "account",
    "charge",
    "charge_line",
    "decision",
    "unbounded",
    "anchoring",
    "ceiling",
    "allowance",
    "budget_raise",
    "resume",
    "resume_line",
    "entry",
    "answer",
    "served",
    "odometer_cap",
)
_NEVER_CHANGED = (
    "ledger",
    "dataset",
    "vault_of_dataset",
    "approvers",
    "charge_line",
    "decision",
    "unbounded",
    "budget_raise",
    "resume",
    "resume_line",
    "entry",
    "answer",
    "served",
    "odometer_cap",
)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One statement that the database refuses."""

    name: str
    event: Literal["DELETE", "UPDATE"]
    table: str
    when: str
    """SQL that both databases read; empty: always."""
    why: str
    only: str = ""
    """What a row must meet for `when` to be asked: SQL without a query, for a condition with one. Every charge waits for it."""

    def sql(self, dialect: Dialect) -> tuple[str, ...]:
        """Return the statements that make the trigger."""
        if dialect == "sqlite":
            asked = f"({self.only}) AND ({self.when})" if self.only else self.when
            condition = f" WHEN {asked}" if asked else ""
            body = f"SELECT RAISE(ABORT, '{self.why}')"
            return (f"CREATE TRIGGER {self.name} BEFORE {self.event} ON {self.table}{condition} BEGIN {body}; END",)
        refusal = f"RAISE EXCEPTION '{self.why}' USING ERRCODE = 'integrity_constraint_violation'"
        row = "OLD" if self.event == "DELETE" else "NEW"
        asks = "SELECT" in self.when  # then it is the function's, for a trigger's own condition may hold no query
        body = f"IF {_on_postgres(self.when)} THEN {refusal}; END IF; RETURN {row};" if asks else f"{refusal};"
        only = self.only if asks else self.when
        condition = f" WHEN ({_on_postgres(only)})" if only else ""
        return (
            f"CREATE OR REPLACE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$",
            f"CREATE TRIGGER {self.name} BEFORE {self.event} ON {self.table} FOR EACH ROW{condition} EXECUTE FUNCTION {self.name}()",
        )


def _on_postgres(condition: str) -> str:
    return condition.replace(" IS NOT OLD.", " IS DISTINCT FROM OLD.")


def _differs(*columns: str) -> str:
    return " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in columns)


REFUSALS: tuple[Refusal, ...] = (
    *(
        Refusal(name=f"{table}_stays", event="DELETE", table=table, when="", why=f"a {table} row is never deleted")
        for table in _NEVER_DELETED
    ),
    *(
        Refusal(name=f"{table}_fixed", event="UPDATE", table=table, when="", why=f"a {table} row never changes")
        for table in _NEVER_CHANGED
    ),
    Refusal(
        name="account_never_falls",
        event="UPDATE",
        table="account",
        when="NEW.spent_nano_rho < OLD.spent_nano_rho OR NEW.spent_delta_units < OLD.spent_delta_units OR "
        "NEW.cap_nano_rho < OLD.cap_nano_rho OR " + _differs("account_id", "dataset_id", "block", "cap_delta_units"),
        why="a balance never falls, and neither does a cap",
    ),
    Refusal(
        name="cap_rises_by_a_raise",
        event="UPDATE",
        table="account",
        only="NEW.cap_nano_rho > OLD.cap_nano_rho",
        when="NOT EXISTS (SELECT 1 FROM budget_raise WHERE dataset_id = NEW.dataset_id AND cap_nano_rho = NEW.cap_nano_rho)",
        why="a cap rises by a raise only",
    ),
    Refusal(
        name="account_below_ceiling",
        event="UPDATE",
        table="account",
        only="NEW.spent_nano_rho > OLD.spent_nano_rho OR NEW.spent_delta_units > OLD.spent_delta_units",
        when="NOT EXISTS (SELECT 1 FROM ceiling WHERE account_id = NEW.account_id "
        "AND nano_rho >= NEW.spent_nano_rho AND delta_units >= NEW.spent_delta_units)",
        why="a balance never passes its anchored ceiling",
    ),
    Refusal(
        name="anchoring_only_moves",
        event="UPDATE",
        table="anchoring",
        when=_differs("id", "secret", "since"),
        why="an anchor only moves",
    ),
    Refusal(
        name="ceiling_only_rises",
        event="UPDATE",
        table="ceiling",
        when="NEW.nano_rho < OLD.nano_rho OR NEW.delta_units < OLD.delta_units OR " + _differs("account_id"),
        why="a ceiling never falls",
    ),
    Refusal(
        name="allowance_spending_stays",
        event="UPDATE",
        table="allowance",
        when="NEW.spent_nano_rho < OLD.spent_nano_rho OR " + _differs("allowance_id", "analyst", "dataset_id"),
        why="what an analyst spent never falls",
    ),
    Refusal(
        name="charge_only_advances",
        event="UPDATE",
        table="charge",
        when="NEW.draws < OLD.draws OR NEW.draws > OLD.draws + 1 "
        "OR NEW.shown < OLD.shown OR (OLD.result_sha256 IS NOT NULL AND NEW.draws <> OLD.draws) "
        "OR (OLD.result_sha256 IS NOT NULL AND NEW.result_sha256 IS NOT OLD.result_sha256 "
        "AND (OLD.shown = 1 OR NEW.result_sha256 IS NOT NULL)) OR "
        + _differs(
            "charge_id",
            "idempotency_key",
            "request_sha256",
            "nano_rho",
            "delta_units",
            "purpose",
            "charged_at",
            "analyst",
        ),
        why="a charge only advances",
    ),
)


def triggers(dialect: Dialect) -> tuple[str, ...]:
    """Return the statements that make every trigger."""
    return tuple(statement for refusal in REFUSALS for statement in refusal.sql(dialect))
