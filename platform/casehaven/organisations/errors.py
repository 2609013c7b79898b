"""What can go wrong with organisations, members, roles and access. Messages are fixed, or name rules; never whether something of others exists."""

from __future__ import annotations

from casehaven.errors import CasehavenError


class OrganisationsError(CasehavenError):
    """Root of the errors of organisations, members and roles."""


class NotFoundError(OrganisationsError):
    """The object is not there, or it belongs to others: nobody can tell which."""

    def __init__(self) -> None:
        """Say it in one sentence for both."""
        super().__init__("there is no such object, or it belongs to others")


class ForbiddenError(OrganisationsError):
    """The object is the member's organisation's, and the member's roles lack the right."""

    def __init__(self) -> None:
        """Say it without naming the right."""
        super().__init__("your roles do not allow this")


class StepUpNeededError(OrganisationsError):
    """The right is there, and a fresh second factor is missing."""

    def __init__(self) -> None:
        """Say what is missing."""
        super().__init__("this needs a second factor that is at most five minutes old")


class NotSignedInError(OrganisationsError):
    """Nobody is signed in: no session and no token, or one that has ended."""

    def __init__(self) -> None:
        """Say it alike for a missing, an unknown, an expired and an ended credential."""
        super().__init__("nobody is signed in")


class CrossSiteError(OrganisationsError):
    """A request that changes something did not come from a page of this service."""

    def __init__(self) -> None:
        """Say it without saying which part was wrong."""
        super().__init__("the request did not come from a page of this service")


class NameTakenError(OrganisationsError):
    """An organisation or member has this name already, or had it once."""


class NameFormError(OrganisationsError):
    """A name is not written in the form that names have."""


class GrantBeyondRightsError(OrganisationsError):
    """Somebody would give a right that they do not hold."""


class RoleOfKindError(OrganisationsError):
    """A role that organisations of this kind do not have."""


class LastHolderError(OrganisationsError):
    """The last active steward, privacy officer or operator would go."""
