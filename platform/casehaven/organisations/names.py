"""Names of organisations and members.

1. A name is ASCII: 1 to 64 (a handle: 2 to 64) small letters, digits, dots, dashes and underscores, beginning with a letter or digit. Two names that look alike are alike.
2. A handle names a member in the ledger and the audit log, so it is unique in the deployment and never given again.
3. A title is what people read: printable text of at most 120 characters, without marks that change the direction of writing.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from casehaven.organisations.errors import NameFormError

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
TITLE_CHARACTERS: Final = 120


def organisation_name(unverified: str) -> str:
    """Return the name of an organisation.

    Raises:
        NameFormError: it is not written as names are.

    >>> organisation_name("north")
    'north'
    """
    if not _NAME.fullmatch(unverified):
        raise NameFormError("an organisation's name has 1 to 64 of a-z 0-9 . _ - and begins with a letter or digit")
    return unverified


def handle(unverified: str) -> str:
    """Return a member's handle.

    Raises:
        NameFormError: it is not written as handles are.
    """
    if not _NAME.fullmatch(unverified) or len(unverified) < 2:
        raise NameFormError("a handle has 2 to 64 of a-z 0-9 . _ - and begins with a letter or digit")
    return unverified


def dataset_name(unverified: str) -> str:
    """Return the name of a dataset within its organisation.

    Raises:
        NameFormError: it is not written as names are.
    """
    if not _NAME.fullmatch(unverified):
        raise NameFormError("a dataset's name has 1 to 64 of a-z 0-9 . _ - and begins with a letter or digit")
    return unverified


def title(unverified: str) -> str:
    """Return a title in Unicode form NFC.

    Raises:
        NameFormError: it is empty, too long, or holds a control character or a mark of direction.
    """
    text = unicodedata.normalize("NFC", unverified).strip()
    if not 0 < len(text) <= TITLE_CHARACTERS or not text.isprintable():
        raise NameFormError(f"a title has 1 to {TITLE_CHARACTERS} printable characters")
    return text
