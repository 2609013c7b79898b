"""People in a vault: find, show, correct, record consent, export, erase, keep no longer than needed, and see possible duplicates."""

from casehaven.people.consent import (
    PURPOSES,
    ConsentHistory,
    ConsentVersion,
    parse_language,
    parse_purpose,
)
from casehaven.people.duplicates import PossibleDuplicate, possible_duplicates
from casehaven.people.errors import PeopleError
from casehaven.people.find import person_by_reference
from casehaven.people.service import People
from casehaven.people.view import PersonView, view_lines

__all__ = [
    "PURPOSES",
    "ConsentHistory",
    "ConsentVersion",
    "People",
    "PeopleError",
    "PersonView",
    "PossibleDuplicate",
    "parse_language",
    "parse_purpose",
    "person_by_reference",
    "possible_duplicates",
    "view_lines",
]
