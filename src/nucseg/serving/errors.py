"""What the service refuses, in its own words; `nucseg.serving.web.failures` says what that is in HTTP."""

from nucseg.core.errors import InputError, NucsegError


class TooLargeError(InputError):
    """An upload or its image is larger than what is allowed."""


class UnknownModelError(InputError):
    """There is no model of this name."""


class BusyError(NucsegError):
    """More is waiting than what is allowed, or it took too long; trying later helps.

    Attributes:
        retry_after: Seconds after which to try again.
    """

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnknownTaskError(NucsegError):
    """There is no task of this id."""


class UnfinishedTaskError(NucsegError):
    """The task has no result yet, or never will have one.

    Attributes:
        retry_after: Seconds after which to ask again; None where asking again is of no use.
    """

    def __init__(self, message: str, retry_after: int | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ExpiredTaskError(NucsegError):
    """The task's result was removed because it was kept long enough."""
