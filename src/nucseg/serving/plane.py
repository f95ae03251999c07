"""From an upload to what is found in it, whoever asks: knows neither HTTP nor queues."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, Any

from numpy.typing import NDArray

from nucseg.core.checks import check_image
from nucseg.core.errors import InputError
from nucseg.core.window import Window
from nucseg.images.planes import STAINS, Channel
from nucseg.images.source import ImageSource
from nucseg.images.stains import separated
from nucseg.inference.options import PredictOptions
from nucseg.measurements.field import MeasuredChannel
from nucseg.models.protocols import LOWEST_SCORE
from nucseg.serving.decoding import decode_upload
from nucseg.serving.errors import InvalidImageError, TooLargeError
from nucseg.serving.limits import DECODE_BYTES, file_kind
from nucseg.serving.models import ModelStore

LOWEST_THRESHOLD = LOWEST_SCORE
"""Below it a model only proposes noise, and takes long to do so."""


class DataPlane:
    """Decodes uploads, within limits, and predicts.

    Args:
        models: The models.
        max_pixels: Maximum number of pixels of an image.
        max_memory: Maximum memory for decoding it, in bytes.
        options: Options of the prediction, except those that a request sets.
    """

    def __init__(
        self,
        models: ModelStore,
        max_pixels: int,
        max_memory: int = DECODE_BYTES,
        options: PredictOptions | None = None,
    ) -> None:
        self.models = models
        self.max_pixels = max_pixels
        self.max_memory = max_memory
        self.options = options or PredictOptions()

    def predict(
        self,
        upload: IO[bytes],
        *,
        model: str | None = None,
        threshold: float | None = None,
        waiting: Callable[[], None] = lambda: None,
    ) -> Any:
        """Predict an upload, at once.

        Args:
            upload: TIFF, PNG or JPEG, seekable.
            model: One of the models' names; None takes the default.
            threshold: The lowest score to keep; None takes the model's own.
            waiting: Called repeatedly until it is the model's turn; an exception that it raises ends the work.

        Returns:
            What the task's answers encode.

        Raises:
            InputError: It is not an image (`TooLargeError`: it is too large), the models do not take such an image, or
                the model is unknown.
        """
        self.models.folder(model)
        waiting()
        image = self._checked(upload, waiting)
        waiting()
        options = self.options.changed(score_threshold=threshold)
        with _enough_memory():
            return self.models.predictor(model).predict(image, options)

    def _checked(self, upload: IO[bytes], waiting: Callable[[], None]) -> NDArray:
        kind, invalid = file_kind(upload), self.models.answers.CONTRACT.invalid_image
        try:
            return self.models.answers.check(self.decode(upload, waiting), kind)
        except TooLargeError:
            raise
        except InputError as error:
            if invalid is None:
                raise
            raise InvalidImageError(invalid, str(error)) from error

    def predict_source(
        self,
        upload: IO[bytes],
        *,
        model: str | None = None,
        threshold: float | None = None,
        pixel_size: float | None = None,
        channel: str | None = None,
        scale: float | None = None,
        progress: Callable[[float], None] = lambda fraction: None,
    ) -> tuple[Any, ImageSource]:
        """Predict an upload tile by tile, so that memory does not grow with it.

        Args:
            upload: As in `predict`.
            model: As in `predict`.
            threshold: As in `predict`.
            pixel_size: Micrometres per pixel; None takes the image's own.
            channel: Name or number of the channel; None takes a grey or a colour image as it is.
            scale: Factor by which the image is resized for the network; None lets the model choose.
            progress: Called repeatedly with the finished fraction.

        Returns:
            What the task's formats are written of, and the image.

        Raises:
            InputError: As `predict`.
        """
        self.models.folder(model)
        source = self.open(upload, lambda: progress(0.0), channel)
        if pixel_size is not None:
            source = replace(source, pixel_size=(pixel_size, pixel_size))
        predictor = self.models.predictor(model)
        options = self.options.changed(score_threshold=threshold, **({} if scale is None else {"scale": scale}))
        with _enough_memory():
            return predictor.predict_source(source, options, progress=progress), source

    def channels(
        self, upload: IO[bytes], source: ImageSource, waiting: Callable[[], None] = lambda: None
    ) -> tuple[MeasuredChannel, ...]:
        """Open all channels of an upload of which one was chosen, or all stains.

        Args:
            upload: As in `predict`.
            source: The upload, as `predict_source` returned it.
            waiting: As in `open`.

        Raises:
            InputError: One cannot be read.
        """
        if source.stain:
            return tuple(MeasuredChannel(stain, separated(source, stain)) for stain in STAINS)
        return tuple(
            # A number that stands for a name of its own is the place of the channel.
            MeasuredChannel(name, self.open(upload, waiting, number if name == str(number) else name))
            for number, name in enumerate(source.channels)
        )

    def decode(self, upload: IO[bytes], waiting: Callable[[], None] = lambda: None) -> NDArray:
        """Decode an upload within the limits; see `nucseg.images.io.decode_image`.

        Args:
            upload: As in `predict`.
            waiting: As in `open`.

        Raises:
            InputError: It is not an image.
            TooLargeError: It is too large.
        """
        source = self.open(upload, waiting)
        image = source.read(Window.whole(source.shape))
        check_image(image, source.name)
        return image

    def open(
        self, upload: IO[bytes], waiting: Callable[[], None] = lambda: None, channel: Channel = None
    ) -> ImageSource:
        """Decode an upload within the limits into a temporary file, which is read in pieces.

        Args:
            upload: As in `predict`.
            waiting: Called every second; an exception that it raises ends the decoding.
            channel: As in `predict_source`.

        Raises:
            InputError: It is not an image, or has no such channel.
            TooLargeError: It is too large.
        """
        return decode_upload(upload, self.max_pixels, self.max_memory, waiting=waiting, channel=channel)

    def warm_up(self) -> None:
        """Load the default model and predict once, since the first prediction takes longer than the following ones."""
        self.models.predictor().predict(self.models.answers.CONTRACT.example, self.options)


@contextmanager
def _enough_memory() -> Iterator[None]:
    """Raise `TooLargeError` for an image that needs too much memory, and leave other faults as they are."""
    try:
        yield
    except MemoryError as error:
        raise TooLargeError("image: needs more memory to predict than is available. Crop it.") from error
