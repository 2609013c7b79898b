"""What the registry refuses."""

from __future__ import annotations

from casehaven.errors import CasehavenError


class RegistryError(CasehavenError):
    """Root of the registry's errors."""


class RegistryLogError(RegistryError):
    """A registry's log that is not whole: an entry is missing, was changed, or is in another place. The message says which position."""


class ReleaseWithdrawnError(RegistryError):
    """A form that is offered no more, because the release was withdrawn."""

    def __init__(self) -> None:
        """Say what is left."""
        super().__init__(
            "this release was withdrawn; its record says why, and its signed bundle stays there to be verified"
        )


class DecisionExpiredError(RegistryError):
    """A drawn release about which nobody decided for 14 days."""

    def __init__(self) -> None:
        """Say the rule."""
        super().__init__(
            "nobody decided about this release for 14 days, so it is published no more; it can be withheld"
        )


class PublishedAlreadyError(RegistryError):
    """A published release is not withheld; it is withdrawn, with a reason."""

    def __init__(self) -> None:
        """Say the rule."""
        super().__init__("this release is published; withdraw it with a notice that says why")


class NotReadableError(RegistryError):
    """A published release whose numbers this service cannot read."""

    def __init__(self) -> None:
        """Say what is left."""
        super().__init__(
            "the numbers of this release cannot be read here: its schema is not known to this service any more, or its files are not as they were signed; "
            "download the signed files, and read them with the program casehaven"
        )


class NotComparableError(RegistryError):
    """Two releases whose numbers cannot be set side by side; the message says why."""


class RegistryBusyError(RegistryError):
    """So many read numbers of releases at this moment that whoever comes has to come again."""

    def __init__(self, retry_after_seconds: int) -> None:
        """Say when to come again.

        Args:
            retry_after_seconds: whole seconds.
        """
        super().__init__("many people read numbers of releases now; try again in a few seconds")
        self.retry_after_seconds = retry_after_seconds
