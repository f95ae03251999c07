"""The errors of the service; `nucseg.serving.web.failures` maps them to HTTP."""

import errno

from nucseg.core.errors import InputError, NucsegError, StorageError


class TooLargeError(InputError):
    """An upload or its image is larger than what is allowed."""


class MissingImageError(InputError):
    """The form of a request has no file in the field of the image."""


class InvalidImageError(InputError):
    """An upload is not an image; the message is one that clients know.

    Args:
        message: The message.
        reason: What is wrong with the upload.

    Attributes:
        reason: As given.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class UnknownModelError(InputError):
    """There is no model of this name."""


class BusyError(NucsegError):
    """More is waiting than is allowed, or it took too long; trying again later helps.

    Attributes:
        retry_after: Seconds after which to try again.
    """

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnknownJobError(NucsegError):
    """There is no task with this id."""


class UnfinishedJobError(NucsegError):
    """The task has no result yet, or never will have one.

    Attributes:
        retry_after: Seconds after which to ask again; None if asking again is useless.
    """

    def __init__(self, message: str, retry_after: int | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotNowError(NucsegError):
    """What is there does not allow the request: a name is in use, or images are missing."""


class ExpiredJobError(NucsegError):
    """The task's result has expired and was removed."""


class ReusedKeyError(NucsegError):
    """The `Idempotency-Key` belongs to another request."""


class UnavailableError(NucsegError):
    """Something that the service needs (task table, storage, temporary folder) cannot be used at the moment.

    Neither the client nor the image is to blame, and trying again later helps. The message is for the client; the log
    gets the cause.

    Args:
        message: What cannot be used.
        cause: Why, for the log.

    Attributes:
        cause: As given.
        retry_after: Seconds after which to try again.
    """

    retry_after = 5

    def __init__(self, message: str, cause: object = "") -> None:
        super().__init__(message)
        self.cause = " ".join(str(cause).split())[:500]

    def for_log(self) -> str:
        """Return the message together with the cause."""
        return f"{self} ({self.cause})" if self.cause else str(self)


class NoRoomError(UnavailableError):
    """The disk of the task table, the storage or the temporary folder is full."""


_FULL = {errno.ENOSPC, errno.EDQUOT}
_FULL_WORDS = ("disk is full", "No space left", "DiskFull", "InsufficientStorage", "StorageFull", "QuotaExceeded")
# Errors of the machine, not those of a decoder without an image or of a model without a weight.
_MACHINE = _FULL | {errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM, errno.ESTALE, errno.EMFILE, errno.ENFILE}


def unavailable(what: str, error: BaseException) -> UnavailableError:
    """Return the error for something that failed with another one; `NoRoomError` if its disk is full.

    Args:
        what: `the storage`, `the task table`, `the temporary folder`.
        error: Why it cannot be used.
    """
    cause = f"{type(error).__name__}: {error}"
    full = getattr(error, "errno", None) in _FULL or any(word in cause for word in _FULL_WORDS)
    if full:
        return NoRoomError(f"{what} is full; try again later.", cause)
    return UnavailableError(f"{what} cannot be used at the moment; try again later.", cause)


def fault_of_machine(error: BaseException | None) -> UnavailableError | None:
    """Return what an error says of this machine's disks; None if it is of another kind.

    Args:
        error: Any error; its causes are checked, too.
    """
    while error is not None:
        if isinstance(error, UnavailableError):
            return error
        if isinstance(error, StorageError) or (isinstance(error, OSError) and error.errno in _MACHINE):
            return unavailable("the temporary folder", error)
        error = error.__cause__
    return None
