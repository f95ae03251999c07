"""What the service writes about itself, to standard error."""

import logging

from nucseg.serving.settings import Settings


def set_up_logging(settings: Settings) -> None:
    """Say as much as the settings want."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    logging.getLogger().setLevel(logging.DEBUG if settings.debug else logging.INFO)
    for noisy in ("botocore", "aiobotocore", "s3fs", "fsspec", "urllib3", "asyncio", "numba", "h5py", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
