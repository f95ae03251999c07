"""What tells one version of a model from another."""

import hashlib
from pathlib import Path


def model_version(folder: Path) -> str:
    """Compute the first 16 digits of the sha256 over everything in a model's folder that predictions depend on.

    Args:
        folder: The folder; its record, `run.json`, does not count.
    """
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.name != "run.json":
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]
