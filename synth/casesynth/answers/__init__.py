"""Private answers to single questions: a closed grammar, a plan, a charge, noisy tables, and one consistent estimate with intervals."""

from casesynth.answers.answer import AnswerRow, answer_rows, rehearse
from casesynth.answers.counted import NoisyTable, RecordTable, measure_answer
from casesynth.answers.document import answer_document, read_stored, stored_document
from casesynth.answers.fields import QuestionError
from casesynth.answers.grammar import parse_question
from casesynth.answers.plan import AnswerPlan, AnswerPlanError, helping, plan_answer, question_digest
from casesynth.answers.question import CountTable, Question

__all__ = [
    "AnswerPlan",
    "AnswerPlanError",
    "AnswerRow",
    "CountTable",
    "NoisyTable",
    "Question",
    "QuestionError",
    "RecordTable",
    "answer_document",
    "answer_rows",
    "helping",
    "measure_answer",
    "parse_question",
    "plan_answer",
    "question_digest",
    "read_stored",
    "rehearse",
    "stored_document",
]
