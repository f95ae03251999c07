"""The one preprocessing: training, evaluation and serving all compute a model's input with it."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import ConfigError, InputError
from nucseg.core.window import Window
from nucseg.images.channels import to_channels, to_grey, to_rgb
from nucseg.images.geometry import resize_image, resize_labels, scaled_shape
from nucseg.images.intensity import to_unit_float, unit_value
from nucseg.images.planes import Stain
from nucseg.images.source import ImageSource, array_source
from nucseg.images.stains import as_hematoxylin, density
from nucseg.images.statistics import range_of_bands
from nucseg.images.survey import Surroundings, Survey, survey
from nucseg.images.transforms import Normalize, Rescale, Standardize, ToGrayscale, ToRGB, Transform

logger = logging.getLogger(__name__)

_LEAST_STAIN = 0.3  # of the range: less is left of the two other stains, or noise, and must not be amplified

_FARTHEST = 100.0
"""What a normalised pixel is limited to: nuclei lie between 0 and 1 or little above, and one dead pixel far off, or the
-9999 of a pixel without data, would spoil what the network sees around it. In BBBC038 they lie between -2 and 7."""


@dataclass(frozen=True)
class FittedPreprocessor:
    """A preprocessor with the statistics of one image, so that a patch gets the same pixels as in the whole image.

    Attributes:
        transforms: In the order of application.
        in_channels: Channels that the model takes.
        source_channels: 1 or 3: the channels of the fitted image without alpha, equal channels and false colour.
        scale: Ratio of the rows (and columns) of the result to those of the image.
        low: What normalisation subtracts, in unit range: a scalar `()` or one value per channel `(C,)`.
        span: What normalisation then divides by, of the same shape; above 0.
        channel: The channel taken from a fitted colour image if `source_channels` is 1.
        stain: The stain of a fitted colour image that is predicted on; None for its colours.
        notes: Remarks for the user on the choice of channels, each without the name of the image.
        surroundings: The areas around the data of the image; None if all is data.
    """

    transforms: tuple[Transform, ...]
    in_channels: Literal[1, 3]
    source_channels: Literal[1, 3]
    scale: float
    low: NDArray[np.float32]
    span: NDArray[np.float32]
    channel: int = 0
    notes: tuple[str, ...] = ()
    surroundings: Surroundings | None = None
    stain: Stain | None = None

    def filled(self, source: ImageSource) -> ImageSource:
        """Fill the areas without data of the fitted image, as a network should see them."""
        return self.surroundings.filled(source) if self.surroundings else source

    def image(self, image: NDArray) -> NDArray[np.float32]:
        """Convert the fitted image, or a patch of it, to the model's input.

        Args:
            image: `(h, w)` or `(h, w, C)` of the stored dtype, or float32 already in unit range (an augmented patch).

        Returns:
            `(h', w', in_channels)` float32, where `h' = round(h * scale)`. It may share memory with `image` if no
            transform changes a pixel.
        """
        return to_channels(_transformed(to_unit_float(self.chosen(image)), self.transforms, self), self.in_channels)

    def chosen(self, image: NDArray) -> NDArray:
        """Take what is predicted on out of the fitted image, or of a patch of it.

        Args:
            image: `(h, w)` or `(h, w, C)`, as stored.

        Returns:
            Grey `(h, w)` or RGB `(h, w, 3)`; may be a view.
        """
        if self.stain:
            # A model of one channel has commonly seen bright nuclei alone, one of three those of tissue, too.
            return density(image, self.stain) if self.in_channels == 1 else as_hematoxylin(image, self.stain)
        if self.source_channels == 3:
            return to_rgb(image)
        return image[..., self.channel] if image.ndim == 3 else image

    def labels(self, labels: NDArray) -> NDArray[np.int32]:
        """Resize labels `(h, w)` of the image or a patch to the frame of `image`'s result, by nearest neighbour."""
        return resize_labels(labels, scaled_shape(labels.shape, self.scale))


@dataclass(frozen=True)
class Preprocessor:
    """The transforms that a model was trained with, and the channels that it takes.

    Raises:
        ConfigError: `standardize` is among the transforms of a model that takes one channel.
    """

    transforms: tuple[Transform, ...]
    in_channels: Literal[1, 3]

    def __post_init__(self) -> None:
        if self.in_channels == 1 and any(isinstance(transform, Standardize) for transform in self.transforms):
            raise ConfigError(
                "data_preprocessing.transforms: standardize needs a model of three channels, but this one takes 1; "
                "remove it or set in_channels to 3."
            )

    @property
    def rescales(self) -> bool:
        """Whether it resizes images to a magnification."""
        return any(isinstance(transform, Rescale) for transform in self.transforms)

    def fit(self, image: NDArray, magnification: float | None = None) -> FittedPreprocessor:
        """Find the statistics of a whole image; see `fit_source`.

        Args:
            image: `(H, W)` or `(H, W, C)` of any dtype, as stored.
            magnification: Magnification of the objective, if known.

        Raises:
            InputError: As `fit_source`.
        """
        return self.fit_source(array_source(image), magnification)

    def fit_source(
        self, source: ImageSource, magnification: float | None = None, *, seen: Survey | None = None
    ) -> FittedPreprocessor:
        """Find the statistics of an image, read band by band.

        They are exact percentiles over all pixels that hold data (see `nucseg.images.survey`), after the transforms
        before the normalisation.

        Args:
            source: The image.
            magnification: Magnification of the objective, if known.
            seen: What is known of its channels; None surveys the image.

        Raises:
            InputError: It is not an image, it shows several stains in false colour, or the magnification is not above
                0.
        """
        seen = survey(source) if seen is None else seen
        fitted = FittedPreprocessor(
            transforms=self.transforms,
            in_channels=self.in_channels,
            source_channels=seen.channels,
            scale=_scale(self.transforms, magnification),
            low=np.zeros((), np.float32),
            span=np.ones((), np.float32),
            channel=seen.channel,
            notes=seen.notes,
            surroundings=seen.surroundings,
            stain=source.stain,
        )
        for place, transform in enumerate(self.transforms):
            if isinstance(transform, Normalize):
                pixels = partial(_data_pixels, source, seen, self.transforms[:place], fitted)
                low, span, marked = _low_and_span(pixels, transform)
                if source.stain:
                    missing = np.maximum(_LEAST_STAIN - span, 0)
                    span = span + missing
                    low = low if self.in_channels == 1 else low - missing  # white stays white
                return replace(fitted, low=low, span=span, notes=fitted.notes + _mark_notes(marked))
        return fitted


def _transformed(image: NDArray, transforms: tuple[Transform, ...], fitted: FittedPreprocessor) -> NDArray:
    """Apply the transforms in order; the image keeps its dtype until one changes its pixels."""
    for transform in transforms:
        match transform:
            case Normalize():
                with np.errstate(over="ignore"):
                    image = to_unit_float(image) - fitted.low
                    image /= fitted.span
                np.clip(image, -_FARTHEST, _FARTHEST, out=image)
            case Rescale():
                image = resize_image(to_unit_float(image), scaled_shape(image.shape, fitted.scale))
            case Standardize():
                image = to_rgb(to_unit_float(image)) - np.asarray(transform.mean, np.float32)
                image /= np.asarray(transform.std, np.float32)
            case ToGrayscale():
                image = to_grey(to_unit_float(image))
            case ToRGB():
                image = to_rgb(image)
    return image


def _scale(transforms: tuple[Transform, ...], magnification: float | None) -> float:
    for transform in transforms:
        if isinstance(transform, Rescale):
            if transform.magnification is None:
                return transform.factor or 1.0
            if magnification is None:
                logger.info("The image's magnification is not known, so it is not rescaled.")
                return 1.0
            if not magnification > 0:
                raise InputError(f"The magnification is {magnification}; it must be above 0, or left out.")
            return transform.magnification / magnification
    return 1.0


def _data_pixels(
    source: ImageSource, seen: Survey, before: tuple[Transform, ...], fitted: FittedPreprocessor
) -> Iterator[NDArray]:
    """Read the pixels that hold data, after the transforms before normalisation: `(n, C)` per band."""
    top = 0
    for band in source.bands():
        window = Window(top, 0, top + band.shape[0], band.shape[1])
        pixels = _transformed(_countable(fitted.chosen(band)), before, fitted)
        pixels = pixels.reshape(*pixels.shape[:2], -1)
        if seen.surroundings:
            outside = resize_labels(seen.surroundings.hold(band, window), (pixels.shape[0], pixels.shape[1]))
            pixels = pixels[outside == 0]
        yield pixels.reshape(-1, pixels.shape[-1])
        top = window.bottom


def _countable(image: NDArray) -> NDArray:
    """Keep 8 and 16 bit, whose values are few enough to be counted; convert the rest to unit range."""
    return image if image.dtype in (np.uint8, np.uint16) else to_unit_float(image)


def _mark_notes(marked: int) -> tuple[str, ...]:
    if not marked:
        return ()
    return (
        f"{marked} pixels of one value far from all others (a scale bar, text, missing data?) are ignored when its "
        "brightness is normalised.",
    )


def _low_and_span(
    bands: Callable[[], Iterable[NDArray]], normalize: Normalize
) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """Compute what to subtract and what to divide by, in unit range, and the number of annotated pixels left out.

    The first two are `()` float32, or `(C,)` for each channel.
    """
    first = next(iter(bands()))
    one = unit_value(first.dtype)
    if normalize.axis == "image" or first.shape[1] == 1:
        low, span, marked = _low_and_span_of(bands, one, normalize)
        pairs = np.asarray((low, span), np.float32)
    else:
        channels = [
            _low_and_span_of(partial(_channel_of, bands, channel), one, normalize) for channel in range(first.shape[1])
        ]
        pairs = np.asarray([channel[:2] for channel in channels], np.float32).T
        marked = max(channel[2] for channel in channels)
    return pairs[0, ...], pairs[1, ...], marked


def _channel_of(bands: Callable[[], Iterable[NDArray]], channel: int) -> Iterator[NDArray]:
    return (band[:, channel] for band in bands())


def _low_and_span_of(
    bands: Callable[[], Iterable[NDArray]], one: float, normalize: Normalize
) -> tuple[float, float, int]:
    low, high, darkest, brightest, marked = range_of_bands(bands, (normalize.pmin, normalize.pmax))
    if high <= low:
        # Nearly all pixels are equal; what stands out from them sets the span.
        low, high = darkest, brightest
    # The last bound keeps what float32 rounds off from being amplified.
    span = max(high - low, normalize.min_range * one, 1e-6 * max(abs(low), abs(high))) or one
    return low / one, span / one, marked
