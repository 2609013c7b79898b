"""What a question can be refused for. Messages name limits and places in the question, never a value, a count or a balance of others (privacy rule 23)."""

from __future__ import annotations

from casehaven.errors import CasehavenError


class QueryError(CasehavenError):
    """Root of the errors of questions and answers."""


class SavedQuestionError(QueryError):
    """There is no saved question of that name for this schema."""


class ChargedFailureError(QueryError):
    """Something failed after the charge; says no more, because what failed may depend on records (privacy rule 23)."""


class AnswerNotYetError(QueryError):
    """The answer is stored, and its tick has not come (privacy rule 24)."""


class NoAnswerOfThatDayError(QueryError):
    """Nothing that is as exact was stored on the day that was named, and nobody can be counted as of then."""
