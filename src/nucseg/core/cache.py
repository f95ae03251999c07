"""Where nucseg keeps the models that it has downloaded or unpacked."""

import os
from pathlib import Path

import pooch


def cache_folder() -> Path:
    """Return the folder of cached models: `$NUCSEG_CACHE/models`, else `models` in the user's cache."""
    return Path(os.environ.get("NUCSEG_CACHE") or pooch.os_cache("nucseg")) / "models"
