"""What can go wrong with a page itself, beside what the routes refuse."""

from __future__ import annotations

from casehaven.errors import CasehavenError


class WebError(CasehavenError):
    """Root of the errors of pages."""


class BackendError(WebError):
    """A page asked for something that no page may ask for, or got more than it may take."""


class FormError(WebError):
    """The form cannot be read."""
