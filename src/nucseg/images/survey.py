"""What can only be seen in the whole image: its channels, stains in false colour, areas without data.

The image is read once, band by band, into a coarse grid of cells; everything is decided on that grid, so that memory
stays flat and tiles are treated as the whole image is.
"""

import colorsys
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nucseg.core.checks import check_image
from nucseg.core.errors import InputError
from nucseg.images.frame import Border
from nucseg.images.grid import Grid
from nucseg.images.intensity import unit_value
from nucseg.images.lookup_table import Colours
from nucseg.images.planes import TRANSPARENT
from nucseg.images.plateaus import Plateaus
from nucseg.images.source import ImageSource
from nucseg.images.stains import check_white
from nucseg.images.surroundings import Surroundings, areas_without_data

_SAMPLED = 1024  # pixels a side whose colours are counted
_FEWEST_CELLS = 16  # colours of fewer say nothing

_HUES = {"red": 0, "orange": 30, "yellow": 60, "green": 120, "cyan": 180, "blue": 240, "violet": 270, "magenta": 300}

# Measured on the fluorescence images of BBBC038 in eleven hues, JPEG of quality 75 to 90 included, against its 91
# histology images, StarDist's H&E and scikit-image's IHC. Apart from one grey level, the channels differ from multiples
# of one by 0.06 at most; of a second stain, that is weak and lies where the first does, from 0.065 on.
_RESIDUE = 0.08
# The colour that false colour begins with is neutral within 0.11 of its range; of tissue it differs by 0.26 at least.
_NEUTRAL = 0.15
# The weakest channel of tissue is on the average at 0.38 of the brightest cells or more; in parts of 128 pixels a side
# at 0.2, of 64 pixels at 0.16, but for one of 6,000. Where several stains lie on black, it is at 0.17 or less.
_BLACK, _DARK = 0.14, 0.2
# Saturation weighted by squared brightness: 0.58 at most in tissue, 0.58 or more in 99 of 100 merges.
_COLOURED, _HARDLY_COLOURED = 0.6, 0.1
# Brown absorbs blue light more than green light, by this factor, and that more than red light. In scikit-image's IHC
# 0.54 of the cells do; in 1,600 fields of H&E (BBBC038, StarDist's, AMi-Br) 0.004 at most.
_BROWN, _LEAST_DENSITY, _LEAST_BROWN = 1.15, 0.2, 0.01
_BLANK = 0.05  # cells of a blank image differ by this part of the brightest at most


@dataclass(frozen=True)
class Survey:
    """What the whole image tells about its pixels.

    Attributes:
        channels: 3 for a picture in colours, else 1.
        channel: The channel to take if `channels` is 1.
        notes: Remarks for the user on these, each without the name of the image.
        surroundings: The areas around the data; None if all is data.
    """

    channels: Literal[1, 3]
    channel: int = 0
    notes: tuple[str, ...] = ()
    surroundings: Surroundings | None = None

    def canonical(self, image: NDArray) -> NDArray:
        """Convert the image, or a part, to the stored form: grey `(h, w)` or RGB `(h, w, 3)`; may be a view."""
        if image.ndim == 2:
            return image
        return image[..., :3] if self.channels == 3 else image[..., self.channel]


def survey(source: ImageSource) -> Survey:
    """Survey a whole image, band by band.

    Raises:
        InputError: It is not an image, it shows several stains in colour on black, or one in a lookup table's colours.
    """
    grid, border = Grid(source), Border((source.shape[0], source.shape[1]))
    few, plateaus = Colours(), Plateaus()
    step = -(-max(source.shape[:2]) // _SAMPLED)
    top, equal, is_transparent = 0, True, False
    for band in source.bands():
        check_image(band, source.name)
        pixels = band.reshape(*band.shape[:2], -1)[..., :3]
        if source.stain:
            check_white(pixels, source.name)
        is_transparent = is_transparent or _is_transparent(band)
        equal = equal and all(np.array_equal(pixels[..., 0], other) for other in np.moveaxis(pixels, 2, 0)[1:])
        grid.add(pixels, top)
        border.add(pixels, top)
        if equal:
            plateaus.add(pixels[..., 0], step, -top % step)
        else:
            few.add(pixels[-top % step :: step, ::step])
        top += band.shape[0]
    odd = _oddities(grid, is_transparent)
    colours, surroundings = _data(grid, border, source)
    if equal:
        _check_coloured(source, colours, "")
        if plateaus.are_labels():
            odd += ("looks like a label image or a mask: each of its areas has one value.",)
        return Survey(1, notes=odd, surroundings=surroundings)
    if len(colours) < _FEWEST_CELLS:
        return Survey(3, notes=odd, surroundings=surroundings)
    stain = _single_stain(colours, source.dtype.kind != "f")
    if stain is not None:
        channel, hue = stain
        _check_coloured(source, colours, hue)
        remarks = [f"one stain in false colour ({hue}): read as grey." if hue else "nearly grey: read as grey."]
        if hue and source.coarse_colours:
            remarks.append(
                "its JPEG compression is too coarse for colours, so faint nuclei may be missed; use the original image."
            )
        return Survey(1, channel, (*odd, *remarks), surroundings)
    if few.are_a_lookup_table():
        raise InputError(
            f"{source.name}: shows one channel in the colours of a lookup table; save the original image in grey."
        )
    notes = odd + _dark_colours(colours, source.name)
    if not source.stain and _is_brown(colours / unit_value(source.dtype)):
        notes += ("looks like tissue stained with DAB (brown): nuclei may be found better with --channel hematoxylin.",)
    return Survey(3, 0, notes, surroundings)


def _is_transparent(band: NDArray) -> bool:
    return band.ndim == 3 and band.shape[2] > 3 and bool((band[..., 3] < unit_value(band.dtype)).any())


def _oddities(grid: Grid, is_transparent: bool) -> tuple[str, ...]:
    """Return notes on what a user would hardly expect of an image."""
    odd = [TRANSPARENT] if is_transparent else []
    if (grid.least.min(axis=(0, 1)) == grid.largest.max(axis=(0, 1))).all():
        odd.append("all its pixels are equal.")
    return tuple(odd)


def _data(grid: Grid, border: Border, source: ImageSource) -> tuple[NDArray[np.float64], Surroundings | None]:
    """Return the mean colours, `(N, C)`, of the cells that hold nothing but data, and what surrounds the data."""
    areas, inside = areas_without_data(grid, source), border.inside(grid)
    holds_data = grid.within(inside) if inside else np.ones(grid.shape, bool)
    for area in areas:
        holds_data &= ~area.cells & ~area.beside
    colours = grid.means()[holds_data]
    if not (areas or inside) or not len(colours):
        return colours, None
    fill = np.median(colours, axis=0)
    fill = fill if source.dtype.kind == "f" else np.rint(fill)
    return colours, Surroundings(grid.cell, areas, fill.astype(source.dtype), inside)


def _check_coloured(source: ImageSource, colours: NDArray[np.float64], hue: str) -> None:
    """Refuse to separate a stain from an image in grey or false colour, unless it is blank."""
    if source.stain is None or not len(colours) or np.ptp(colours) <= _BLANK * colours.max():
        return
    what = f"shows one stain in false colour ({hue})" if hue else "is grey"
    raise InputError(f"{source.name}: {what}, so no {source.stain} can be separated; leave out --channel.")


def _is_brown(colours: NDArray[np.float64]) -> bool:
    """Return whether cells of unit range show a brown stain."""
    red, green, blue = -np.log10(colours.clip(1 / 255, 1)).T
    brown = (blue > _BROWN * green) & (green > _BROWN * red) & (blue > _LEAST_DENSITY)
    return bool(brown.mean() > _LEAST_BROWN)


def _single_stain(colours: NDArray[np.float64], whole_numbers: bool) -> tuple[int, str] | None:
    """Find the channel of which all others are multiples, apart from a faint offset.

    Args:
        colours: `(N, 3)` means of cells.
        whole_numbers: Whether the image has an integer dtype, and so is rounded.

    Returns:
        The brightest channel and the name of the hue, which is empty for grey; None if there is no such channel.
    """
    covariance = np.cov(colours.T)
    variance = np.diag(covariance)
    channel = int(np.argmax(variance))
    if variance[channel] == 0:
        return None
    slopes = np.maximum(covariance[channel] / variance[channel], 0)
    residue = np.sqrt(np.maximum(variance - 2 * slopes * covariance[channel] + slopes**2 * variance[channel], 0))
    dark, bright = np.percentile(colours[:, channel], (1, 99.8))
    level = max((bright - dark) / 255, 1.0 if whole_numbers else 0.0)
    # Where the channels are multiples of one, there is a dark value at which they are all equal: 0, or the offset.
    offsets = colours.mean(0) - slopes * colours[:, channel].mean()
    neutral = np.dot(offsets, 1 - slopes) / max(np.dot(1 - slopes, 1 - slopes), 1e-6)
    neutral = np.clip(neutral, min(dark, 0), dark + 0.1 * (bright - dark))
    unlike = np.abs(offsets - (1 - slopes) * neutral)
    if (residue > level + _RESIDUE * np.sqrt(variance[channel])).any() or (unlike > _NEUTRAL * (bright - dark)).any():
        return None
    hue, saturation, _ = colorsys.rgb_to_hsv(*slopes.clip(0, 1).tolist())
    if saturation < 0.1:
        return channel, ""
    return channel, min(_HUES, key=lambda name: abs((360 * hue - _HUES[name] + 180) % 360 - 180))


def _dark_colours(colours: NDArray[np.float64], name: str) -> tuple[str, ...]:
    """Refuse an image of several stains on black; warn if it may be one."""
    colours = colours.clip(0)
    least, largest = colours.min(1), colours.max(1)
    darkness = least.mean() / max(np.percentile(largest, 99.8), 1e-12)
    coloured = ((largest - least) * largest).sum() / max((largest**2).sum(), 1e-12)
    remedy = "choose the nuclear stain with --channel 0, 1 or 2 (red, green, blue)"
    if darkness >= _DARK or coloured < _HARDLY_COLOURED:
        return ()
    if darkness < _BLACK and coloured >= _COLOURED:
        raise InputError(
            f"{name}: shows several stains in colour on black; {remedy}, or, for one stain in a lookup table or with "
            "coloured annotations, save it as a grey image."
        )
    return (f"a dark colour image, read as stained tissue; if it shows several stains, {remedy}.",)
