"""What a release would be worth, said before anything is charged or opened: from the schema, the people cap and the budget alone."""

from casesynth.feasibility.advice import Suggestion, suggestions
from casesynth.feasibility.expected import Expected, Feasibility, feasibility
from casesynth.feasibility.page import feasibility_html
from casesynth.feasibility.years import YearsOutlook, years_outlook

__all__ = [
    "Expected",
    "Feasibility",
    "Suggestion",
    "YearsOutlook",
    "feasibility",
    "feasibility_html",
    "suggestions",
    "years_outlook",
]
