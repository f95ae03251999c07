"""The modality of an image whose dataset does not state it."""

from numpy.typing import NDArray

from nucseg.images.channels import canonical_channels
from nucseg.images.intensity import unit_value


def modality_of(image: NDArray) -> str:
    """Derive the modality from the pixels, by the rule that holds in BBBC038.

    Channels that differ are a stain's colour: `histology`. A grey image is `brightfield` if its mean is above half of
    the dtype's maximum, otherwise `fluorescence`. In BBBC038 (8 bit) the means of brightfield images are above 205,
    those of fluorescence images below 58.

    Args:
        image: `(H, W)` or `(H, W, C)` with C of 1, 3 or 4, unsigned integers as stored.

    Returns:
        `histology`, `brightfield` or `fluorescence`.
    """
    image = canonical_channels(image)
    if image.ndim == 3:
        return "histology"
    return "brightfield" if image.mean() > unit_value(image.dtype) / 2 else "fluorescence"
