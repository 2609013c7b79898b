"""What a draft of a release refuses. Messages name no dataset, no organisation and no amount."""

from __future__ import annotations

from casehaven.errors import CasehavenError


class DraftsError(CasehavenError):
    """Root of the errors of drafts."""


class DraftDocumentError(DraftsError):
    """The document of a draft is not one: says where, and what was expected."""


class DraftOverError(DraftsError):
    """A draft that is over: withdrawn, expired, or replaced by a later document."""

    def __init__(self) -> None:
        """Say it alike for all three."""
        super().__init__("this draft is over: it was withdrawn, it expired, or it has a later document")


class DraftChangedError(DraftsError):
    """What would be drawn now is not what was approved."""

    def __init__(self) -> None:
        """Say no fact of either."""
        super().__init__(
            "what would be drawn now is not what was approved: the datasets that can pay, the price or the agreement changed since; nothing was charged"
        )


class ApprovalsMissingError(DraftsError):
    """Not everybody whose approval is needed has approved."""

    def __init__(self) -> None:
        """Say nothing of who."""
        super().__init__("approvals are missing, or somebody who approved may not any more; nothing was charged")


class ApprovalError(DraftsError):
    """An approval that does not hold."""

    def __init__(self) -> None:
        """Say it alike for every fault."""
        super().__init__("the approval does not hold for this draft, this member and this part")


class SamePersonError(DraftsError):
    """One person would approve twice."""

    def __init__(self) -> None:
        """Say the rule."""
        super().__init__(
            "whoever approved as a steward does not approve as the privacy officer too, nor the other way round"
        )


class DrawnAlreadyError(DraftsError):
    """The release of this draft was drawn; what is left is the decision about it."""

    def __init__(self) -> None:
        """Say the rule."""
        super().__init__("the release of this draft was drawn already; it is published or withheld now")
