"""What an agreement refuses. Messages name places in the document or in the question; never a contributor, a count or a balance."""

from __future__ import annotations

from casehaven.errors import CasehavenError


class AgreementsError(CasehavenError):
    """Root of the errors of agreements."""


class AgreementDocumentError(AgreementsError):
    """The document of an agreement is not one: says where, and what was expected."""


class AgreementChangedError(AgreementsError):
    """What is signed is not the document that stands there now."""

    def __init__(self) -> None:
        """Say it without showing either."""
        super().__init__(
            "the agreement has another document by now, or this one is over; read it again before you sign"
        )


class AgreementSignatureError(AgreementsError):
    """A signature that does not hold."""

    def __init__(self) -> None:
        """Say it alike for every fault."""
        super().__init__("the signature does not hold for this document and this member")


class AgreementNeededError(AgreementsError):
    """Datasets of several organisations, or another organisation's, and no agreement in force that the asker may use."""

    def __init__(self) -> None:
        """Say it alike for none, one that is over, and one that is not for the asker."""
        super().__init__(
            "datasets of several organisations, or of another one, are asked under an agreement that is in force and names who asks"
        )


class NotAgreedError(AgreementsError):
    """The agreement does not allow this: names the place in the question or the release."""


class AgreementBudgetError(AgreementsError):
    """The agreement's own budget does not allow it; no balance changed."""

    def __init__(self) -> None:
        """Say nothing of what is left."""
        super().__init__("the agreement's own budget does not allow it; no balance changed")


class TooFewContributorsError(AgreementsError):
    """Fewer than two organisations' datasets would be counted together."""

    def __init__(self) -> None:
        """Say the rule."""
        super().__init__(
            "fewer than two organisations' datasets can still pay; nobody's are counted alone in the name of all"
        )
