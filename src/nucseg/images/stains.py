"""The stains of tissue in a colour image, separated by the colours of light that they absorb."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.color import hed_from_rgb, rgb_from_hed

from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.intensity import to_unit_float
from nucseg.images.planes import STAINS, Stain
from nucseg.images.source import ImageSource

# Light below a 255th counts as that: what a sensor calls 0 would absorb without limit.
_DARKEST = np.float32(1 / 255)
_WHITE = np.iinfo(np.uint16).max


def named_stain(channel: Any) -> Stain | None:
    """Return the stain that a channel's name stands for, in upper or lower case; None for any other channel."""
    name = channel.strip().casefold() if isinstance(channel, str) else None
    return next((stain for stain in STAINS if stain == name), None)


def density(image: NDArray, stain: Stain) -> NDArray[np.float32]:
    """Compute how much a stain absorbs in each pixel, separated from the two others as by scikit-image's `rgb2hed`.

    The value of a pixel does not depend on its neighbours, nor on its place in the array.

    Args:
        image: `(h, w, C)` with C of 3 or 4: red, green and blue; alpha is ignored. As stored; of floats 1 is white.
        stain: The stain.

    Returns:
        `(h, w)`, decadic optical densities, at least 0; 6 times what `rgb2hed` returns.
    """
    found = np.zeros(image.shape[:2], np.float32)
    # A sum of products, not a matrix product: BLAS may round a pixel by its place in the array.
    for colour, weight in enumerate(hed_from_rgb[:, STAINS.index(stain)]):
        light = np.maximum(to_unit_float(image[..., colour]), _DARKEST)
        found -= np.log10(light) * np.float32(weight)
    return np.maximum(found, 0)


def as_hematoxylin(image: NDArray, stain: Stain) -> NDArray[np.uint16]:
    """Convert an image to one that shows a stain alone, in the colour of haematoxylin on white.

    This is how the nuclei of H&E look, which models know.

    Args:
        image: As of `density`.
        stain: As of `density`.

    Returns:
        `(h, w, 3)`, red, green and blue.
    """
    found = density(image, stain)[..., None]
    return np.rint(_WHITE * 10 ** (-found * rgb_from_hed[0].astype(np.float32))).astype(np.uint16)


def check_white(image: NDArray, name: str) -> None:
    """Refuse a colour image whose white is not known.

    Raises:
        InputError: It holds floats above 1.
    """
    if image.dtype.kind == "f" and image.max() > 1:
        raise InputError(
            f"{name}: holds floats up to {image.max():g}, so it is not known what is white, and stains cannot be "
            "separated; save it in 8 bits, or divide it so that white is 1."
        )


def stained(source: ImageSource, stain: Stain) -> ImageSource:
    """Return a colour image of which a stain is to be predicted on and measured, its reduced copies too.

    Its pixels stay in colour: tissue is found, and pictures are drawn, in colour.

    Raises:
        InputError: It is not in colour.
    """
    if len(source.shape) != 3 or source.shape[2] < 3:
        raise InputError(
            f"{source.name}: is grey, so no {stain} can be separated from it; leave out --channel {stain}, or give the "
            "image in colour."
        )
    return replace(source, stain=stain, levels=tuple(replace(level, stain=stain) for level in source.levels))


def separated(source: ImageSource, stain: Stain | None = None) -> ImageSource:
    """Return what is measured of an image: the optical densities of a stain, see `density`.

    Args:
        source: The image.
        stain: None takes the one that was chosen; without one, the image is returned as it is.
    """
    chosen = stain or source.stain
    if chosen is None:
        return source

    def read(window: Window) -> NDArray[np.float32]:
        image = source.read(window)
        check_white(image, source.name)
        return density(image, chosen)

    return replace(source, shape=source.shape[:2], dtype=np.dtype(np.float32), read=read, levels=(), stain=None)
