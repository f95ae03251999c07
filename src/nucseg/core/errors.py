"""Errors that a user can act on: each message names the thing, what was allowed and what to do."""


class NucsegError(Exception):
    """Base of every error that the user's input or machine caused; it is shown without a traceback."""


class InputError(NucsegError):
    """An image, a label image or an argument is not what is required."""


class ConfigError(NucsegError):
    """A parameter is missing, unknown or out of range."""


class DownloadError(NucsegError):
    """A file could not be fetched, verified or unpacked."""


class StorageError(NucsegError):
    """A file could not be written: the disk is full, read-only or not permitted."""


class ModelError(NucsegError):
    """A model folder is missing, incomplete or of another kind."""
