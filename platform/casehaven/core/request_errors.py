"""What can go wrong with a request to the service. Messages are fixed, or name rules and limits."""

from __future__ import annotations

from casehaven.errors import CasehavenError


class RequestError(CasehavenError):
    """The request cannot be used as it is."""


class BodyError(RequestError):
    """The body, a parameter or a header is not what this route takes."""


class BodyTooLargeError(RequestError):
    """The body is larger than this route takes."""


class UploadsWaitError(RequestError):
    """So many bytes of this organisation's uploads wait that no more are taken."""

    def __init__(self) -> None:
        """Say what to do, and no size."""
        super().__init__("too much of what your organisation sent waits; take uploads in or delete them")


class DiskFullError(RequestError):
    """Too little of the disk is free for uploads."""

    retry_after_seconds = 600

    def __init__(self) -> None:
        """Say what others have to do."""
        super().__init__("the service has no room for uploads now; whoever runs it has to make some")


class RateLimitedError(RequestError):
    """Too many requests in a short time."""

    def __init__(self, retry_after_seconds: int) -> None:
        """Say when to come again.

        Args:
            retry_after_seconds: whole seconds, at least 1.
        """
        super().__init__("too many requests; wait and try again")
        self.retry_after_seconds = retry_after_seconds


class RequestKeyNeededError(RequestError):
    """This route spends or uploads, and the request has no Idempotency-Key."""

    def __init__(self) -> None:
        """Say what a key looks like."""
        super().__init__("the header Idempotency-Key is needed: 8 to 128 letters, digits or . _ : -")


class RequestKeyReusedError(RequestError):
    """The Idempotency-Key was used before with another request."""

    def __init__(self) -> None:
        """Say it without saying what the other request was."""
        super().__init__("this Idempotency-Key was used before with another request")


class CursorError(RequestError):
    """The cursor of a page is not one that this list gave."""

    def __init__(self) -> None:
        """Say where cursors come from."""
        super().__init__("the cursor is not one that this list gave")


class JobEndedError(RequestError):
    """The job has ended, or cannot be cancelled any more."""

    def __init__(self) -> None:
        """Say it alike for every state."""
        super().__init__("the job cannot be cancelled any more")


class JobInterruptedError(RequestError):
    """The worker stopped in the middle of a job that is not repeated by itself."""

    def __init__(self) -> None:
        """Say what is known."""
        super().__init__("the work was interrupted; it may or may not have been done")


class ResultGoneError(RequestError):
    """The result of a job was read, or has expired."""

    def __init__(self) -> None:
        """Say how long results stay."""
        super().__init__("the result was read before or has expired; results with case data stay for ten minutes")


class NoWorkerError(RequestError):
    """What the worker publishes is not there yet."""

    retry_after_seconds = 2

    def __init__(self) -> None:
        """Say when to come again."""
        super().__init__("the service is starting; try again in a moment")


class TooManyJobsError(RequestError):
    """A member has as many jobs waiting as one may have."""

    retry_after_seconds = 5

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__("too many of your jobs are waiting; wait until one has ended")
