"""What can go wrong with signing in. Messages are the same for an unknown member, a wrong password and a wrong code, and hold no name and no secret."""

from __future__ import annotations

from casehaven.errors import CasehavenError


class SignInError(CasehavenError):
    """Root of the errors of sign-in."""


class WrongCredentialsError(SignInError):
    """Handle, password, code or passkey do not fit together; nobody can tell which."""

    def __init__(self) -> None:
        """Say it alike for everything that can be wrong."""
        super().__init__("this sign-in was not accepted")


class TooManyGuessesError(SignInError):
    """Guesses come faster than they are let through."""

    def __init__(self, retry_after_seconds: int) -> None:
        """Say how long to wait."""
        super().__init__("too many attempts; wait before the next one")
        self.retry_after_seconds = retry_after_seconds
        """Seconds until the next attempt is looked at."""


class SignInBusyError(SignInError):
    """More people sign in at this moment than there is memory for."""

    def __init__(self) -> None:
        """Say to come back soon."""
        super().__init__("too many people are signing in at this moment")
        self.retry_after_seconds = 5
        """Seconds until another attempt makes sense."""


class WeakPasswordError(SignInError):
    """A new password that is too short, too long, or among the first that anybody would guess."""


class BrokenCodeError(SignInError):
    """A one-time code that is wrong, was used, or has expired; nobody can tell which."""

    def __init__(self) -> None:
        """Say it alike."""
        super().__init__("this code is wrong, was used already, or has expired")


class BrokenPasskeyError(SignInError):
    """What a passkey or the browser sent is not what was asked for."""

    def __init__(self) -> None:
        """Say it without the library's words."""
        super().__init__("the passkey's answer was not accepted")


class AssertionNeededError(SignInError):
    """A passkey has to sign what is asked, and the request came without its assertion."""

    def __init__(self, members: dict[str, str | int]) -> None:
        """Carry what the passkey signs.

        Args:
            members: of the problem that is answered: `challenge`, `nonce`, `at`, and the `header` in which the assertion comes.
        """
        super().__init__("sign this request with your passkey, and send it again with the assertion")
        self.members = members


class JobAssertionError(SignInError):
    """The signature under a request does not hold: another request, another member, too old, used before, or no fresh second factor in its place."""

    def __init__(self) -> None:
        """Say what has to be done, and not which."""
        super().__init__("the signature of the request does not hold; nothing was done")


class SecondPersonError(SignInError):
    """So many persons were shown or exported today that another member has to approve more."""

    def __init__(self) -> None:
        """Say who helps, and no number."""
        super().__init__("today's bound of persons is reached; another member has to approve more")


class VolumeApprovalError(SignInError):
    """The bound of a day is not lifted by the member themselves, or by somebody whom the member let in."""

    def __init__(self) -> None:
        """Say who can."""
        super().__init__("another member approves, whom this one neither invited nor gave a role")


class NoWayInError(SignInError):
    """A member would be left without a complete way to sign in: a passkey, or a password with a code."""


class TokenRequestError(SignInError):
    """A token that would outlive its limit, or do what its holder may not do or what needs a second factor."""


class RecoveryError(SignInError):
    """A recovery that the same person would approve twice, or that nobody of the member's organisation approves."""


class SignInKeyError(SignInError):
    """The key of sign-in is missing, damaged, or readable by others."""


class OriginError(SignInError):
    """An address that browsers cannot sign in at: not HTTPS, and not on this computer."""
