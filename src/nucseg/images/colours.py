"""The colour model of a TIFF page: the meaning of its samples, and their conversion to red, green and blue."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tifffile
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC

from nucseg.core.errors import InputError
from nucseg.images.jpeg import is_coarse
from nucseg.images.planes import ALPHA, COLOURS, GREY

_GREY = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MASK, PHOTOMETRIC.PALETTE)
_COLOUR = (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR)
_CALLED: dict[int, str] = {
    PHOTOMETRIC.SEPARATED: "CMYK colours",
    PHOTOMETRIC.CIELAB: "CIELab colours",
    PHOTOMETRIC.ICCLAB: "ICCLab colours",
    PHOTOMETRIC.ITULAB: "ITULab colours",
    PHOTOMETRIC.LOGL: "LogL brightness",
    PHOTOMETRIC.LOGLUV: "LogLuv colours",
    PHOTOMETRIC.CFA: "raw data of a camera",
    PHOTOMETRIC.LINEAR_RAW: "raw data of a camera",
}
_JPEG = (COMPRESSION.OJPEG, COMPRESSION.JPEG, COMPRESSION.ALT_JPEG, COMPRESSION.JPEG_LOSSY)  # decoded to RGB
_JPEG_2000 = (
    COMPRESSION.APERIO_JP2000_YCBC,
    COMPRESSION.APERIO_JP2000_RGB,
    COMPRESSION.JPEG2000,
    COMPRESSION.JPEG_2000_LOSSY,
)
_AS_STORED = ("NONE", "LZW", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS", "LZMA", "ZSTD")
_HEADER_BYTES = 4096  # more than the main header of a JPEG 2000 codestream, or that of a JPEG in a TIFF, takes


@dataclass(frozen=True)
class Conversion:
    """The conversion of stored samples to colours.

    Attributes:
        apply: Takes pixels as stored, `(h, w)` or `(h, w, 3)`; returns `(h, w, 3)` uint8.
        note: Remark for the user, or empty.
    """

    apply: Callable[[NDArray], NDArray]
    note: str = ""


def has_coarse_colours(page: tifffile.TiffPage) -> bool:
    """Return whether a page is a JPEG that is compressed so far that a faint stain in one colour may be lost."""
    if page.compression not in _JPEG:
        return False
    file = page.parent.filehandle
    file.seek(page.dataoffsets[0])
    return is_coarse(page.jpegtables or b"") or is_coarse(file.read(min(page.databytecounts[0], _HEADER_BYTES)))


def photometric(page: tifffile.TiffPage) -> int:
    """Return the photometric interpretation; a page without one is grey (tifffile would take its 0 for white)."""
    given = 262 in page.tags or page.photometric == PHOTOMETRIC.YCBCR
    return int(page.photometric) if given else int(PHOTOMETRIC.MINISBLACK)


def sample_names(page: tifffile.TiffPage) -> tuple[str, ...]:
    """Return the names of a pixel's samples: COLOURS if the page is declared to be in colour, otherwise none.

    A further sample is ALPHA only if the page declares it.
    """
    colours = COLOURS if photometric(page) in _COLOUR else (GREY,)
    extras = [ALPHA if each in (1, 2) else "" for each in page.extrasamples]
    missing = page.samplesperpixel - len(colours) - len(extras)
    names = (*colours, *extras, *[""] * missing)
    return names if names[0] != GREY or names == (GREY, ALPHA) else ()


def colour_conversion(page: tifffile.TiffPage, name: str) -> Conversion | None:
    """Find how the samples of a page become red, green and blue.

    Args:
        page: The page.
        name: Name of the file for messages.

    Returns:
        None if they are decoded as red, green and blue, or are no colours.

    Raises:
        InputError: The colour model is not supported.
    """
    model = photometric(page)
    if model == PHOTOMETRIC.PALETTE:
        return _palette(page, name)
    if page.compression == COMPRESSION.APERIO_JP2000_YCBC and page.samplesperpixel == 3:
        model = PHOTOMETRIC.YCBCR
    if model == PHOTOMETRIC.YCBCR and page.samplesperpixel > 1:
        return _ycbcr(page, name)
    if model in _GREY or model in _COLOUR:
        return None
    called = _CALLED.get(model, f"the colour model {model}")
    raise InputError(f"{name}: holds {called}; convert it to RGB.")


def _palette(page: tifffile.TiffPage, name: str) -> Conversion | None:
    """Read the colour table of a picture; if its brightness rises, the picture shows intensities, which are kept."""
    if page.colormap is None:
        raise InputError(f"{name}: holds palette colours without their table; convert it to RGB.")
    table = np.asarray(page.colormap).T.astype(np.int64)
    rising = np.diff(table @ (299, 587, 114)) >= 0
    # Display tables are smooth; a first and last entry of their own mark what is too dark and too bright (HiLo). The
    # colours of a picture jump, even where they are sorted by brightness.
    inner = slice(1, -1) if len(table) >= 256 else slice(None)
    variation = np.abs(np.diff(table, axis=0))[inner].sum(axis=0)
    if rising[inner].all() and (variation <= 2 * table.max()).all():
        return None
    colours = (table if table.max() < 256 else table >> 8).astype(np.uint8)
    return Conversion(lambda image: np.take(colours, image, axis=0), "its colour table is applied; it is read as RGB.")


def _ycbcr(page: tifffile.TiffPage, name: str) -> Conversion | None:
    if page.samplesperpixel != 3 or page.dtype != np.uint8:
        raise InputError(f"{name}: holds YCbCr colours that are not three samples of 8 bits; convert it to RGB.")
    compression = COMPRESSION(page.compression)
    if compression in _JPEG and page.planarconfig == 1:
        return None
    if compression in _JPEG_2000:
        page.subsampling = (1, 1)  # the decoder enlarges what is subsampled, whatever the tag says
        return None if _decoded_to_rgb(page) else Conversion(_to_rgb)
    if page.is_subsampled or compression.name not in _AS_STORED:
        raise InputError(
            f"{name}: holds YCbCr colours, subsampled or in the compression {compression.name}; convert it to RGB."
        )
    coefficients = page.tags.valueof(529)
    reference = page.tags.valueof(532)
    if not _is(coefficients, (0.299, 0.587, 0.114)) or not _is(reference, (0, 255, 128, 255, 128, 255)):
        raise InputError(f"{name}: holds YCbCr colours with coefficients other than JPEG's; convert it to RGB.")
    return Conversion(_to_rgb)


def _is(rationals: tuple[int, ...] | None, expected: tuple[float, ...]) -> bool:
    """Return whether numerators and denominators in turn are what is expected, or not given."""
    if rationals is None:
        return True
    numerators, denominators = np.array(rationals, float).reshape(-1, 2).T
    return bool(np.allclose(numerators / denominators, expected, atol=1e-3))


def _decoded_to_rgb(page: tifffile.TiffPage) -> bool:
    """Return whether a JPEG 2000 decoder turns the first tile's YCbCr into RGB by itself.

    It does so where the codestream has a transform of its components, and where they are subsampled.
    """
    file = page.parent.filehandle
    file.seek(page.dataoffsets[0])
    stream = file.read(min(page.databytecounts[0], _HEADER_BYTES))
    place = stream.find(b"\xff\x4f\xff\x51") + 2
    transformed = subsampled = False
    while stream[place : place + 1] == b"\xff" and stream[place + 1] not in (0x90, 0xD9):
        marker, length = stream[place + 1], int.from_bytes(stream[place + 2 : place + 4])
        if marker == 0x51:  # SIZ: from byte 40 on, depth and subsampling of each component
            steps = (*stream[place + 41 : place + 49 : 3], *stream[place + 42 : place + 49 : 3])
            subsampled = any(step > 1 for step in steps)
        if marker == 0x52:  # COD
            transformed = stream[place + 8] != 0
        place += 2 + length
    return transformed or subsampled


def _to_rgb(image: NDArray) -> NDArray:
    """Convert YCbCr `(h, w, 3)` uint8 to RGB as JPEG defines it (ITU-T T.871)."""
    luma = image[..., 0].astype(np.float32)
    blue, red = image[..., 1].astype(np.float32) - 128, image[..., 2].astype(np.float32) - 128
    rgb = np.stack([luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue], axis=-1)
    return np.rint(rgb).clip(0, 255).astype(np.uint8)
