"""The channels that are measured: those of the image's own file, and of other files of the same field."""

import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Annotated, Any

from numpy.typing import NDArray
from pydantic import AfterValidator

from nucseg.core.errors import ConfigError, InputError
from nucseg.images.content import Content
from nucseg.images.open import open_content
from nucseg.images.places import file_system
from nucseg.images.plane_choice import Plane
from nucseg.images.planes import STAINS, Channel
from nucseg.images.source import ImageSource, array_source
from nucseg.images.stains import named_stain, separated
from nucseg.measurements.field import MeasuredChannel
from nucseg.measurements.partner import check_pattern, partner_of

ALL = "all"
"""What stands for all channels of the image's file."""


@dataclass(frozen=True)
class Measured:
    """One thing to measure.

    Attributes:
        what: ALL, a channel of the image's file, or a pattern of files.
        name: What its columns are called by; None takes the file's own name.
    """

    what: str
    name: str | None = None

    @property
    def is_pattern(self) -> bool:
        """Whether it is in other files."""
        return self.name is not None and "*" in self.what


def parse_measured(text: str) -> Measured:
    """Read `all`, `CHANNEL`, `NAME=CHANNEL` or `NAME=PATTERN`.

    Raises:
        ValueError: It is none of these.
    """
    name, equals, what = text.partition("=")
    if not equals:
        if not text.strip() or "*" in text:
            raise ValueError(f"{text!r} must be `all`, a channel, NAME=CHANNEL or, for other files, NAME=PATTERN")
        return Measured(text.strip())
    if not name.strip() or not what.strip():
        raise ValueError(f"{text!r} must be NAME=CHANNEL or NAME=PATTERN, such as GFP=*_GFP.tif")
    if "*" in what:
        check_pattern(what.strip())
    return Measured(what.strip(), name.strip())


def check_measured(given: tuple[str, ...]) -> tuple[str, ...]:
    """Return what is to be measured as it was given.

    Raises:
        ValueError: It cannot be read, or two have one name.
    """
    names = [each.name or each.what for each in map(parse_measured, given)]
    if len(set(names)) < len(names):
        raise ValueError("must have a name for each channel, and each name once")
    return given


Measures = Annotated[tuple[str, ...], AfterValidator(check_measured)]
"""What is measured, as `parse_measured` reads it."""


def channel_texts(given: Any, name: str) -> tuple[str, ...]:
    """Return what a program gives to be measured, one channel or several, by name or number, as texts.

    Args:
        given: As it is given.
        name: Name of the argument for the message.

    Raises:
        ConfigError: It is neither.
    """
    several = (given,) if isinstance(given, str | Integral) else given
    if isinstance(several, Iterable) and not isinstance(several, bytes | Mapping):
        texts = tuple(several)
        if all(isinstance(each, str | Integral) and not isinstance(each, bool) for each in texts):
            return tuple(map(str, texts))
    raise ConfigError(
        f"{name}: {reprlib.repr(given)} is not allowed; it must be `all`, or one or several names or numbers of "
        "channels."
    )


def choose_channels(
    given: Sequence[str], named: Mapping[str, ImageSource], colours: NDArray | None
) -> tuple[MeasuredChannel, ...]:
    """Choose among channels in memory.

    Args:
        given: As `parse_measured` reads them, without files.
        named: All channels, by name.
        colours: `(H, W, C)`, the image in red, green and blue if it is one: its stains can be chosen, too.

    Raises:
        InputError: There is no such channel.
    """
    channels: list[MeasuredChannel] = []
    for each in map(parse_measured, given):
        if each.what == ALL and each.name is None:
            channels += [MeasuredChannel(name, source) for name, source in named.items()]
        elif each.what in named:
            channels.append(MeasuredChannel(each.name or each.what, named[each.what]))
        elif each.what.isdecimal() and int(each.what) < len(named):
            channel = list(named)[int(each.what)]
            channels.append(MeasuredChannel(each.name or channel, named[channel]))
        elif colours is not None and (stain := named_stain(each.what)):
            channels.append(MeasuredChannel(each.name or stain, separated(array_source(colours), stain)))
        else:
            allowed = [*named, *(STAINS if colours is not None else ())]
            raise InputError(f"image: has no channel {each.what!r}; allowed are {', '.join(allowed)}.")
    _check_names(channels, "image")
    return tuple(channels)


def open_channels(
    given: Sequence[str],
    url: str,
    source: ImageSource,
    plane: Plane = (),
    content: Callable[[str], Content] = open_content,
) -> tuple[tuple[MeasuredChannel, ...], tuple[str, ...]]:
    """Open what is to be measured of an image.

    Args:
        given: As `parse_measured` reads them.
        url: The image's path or URL.
        source: The image.
        plane: The plane that it is.
        content: Opens files.

    Returns:
        The channels, and a note that says which they are and in which files.

    Raises:
        InputError: A channel or a file is missing, in colour, or of another size than the image.
    """

    def opened(file: str, channel: Channel, name: str) -> ImageSource:
        return _opened(file, channel, source, name, plane, content)

    channels: list[MeasuredChannel] = []
    files: dict[str, str] = {}
    for each in map(parse_measured, given):
        if each.is_pattern:
            file = partner_of(url, each.what)
            channels.append(MeasuredChannel(str(each.name), opened(file, None, str(each.name))))
            files[str(each.name)] = re.split(r"[/\\]", file)[-1]
        elif each.what == ALL and each.name is None:
            channels += [_own(source, url, number, name, opened) for number, name in enumerate(source.channels)]
        else:
            label = _label(each.what, source)
            channels.append(MeasuredChannel(each.name or label, opened(url, each.what, label)))
    names = _check_names(channels, source.name)
    listed = ", ".join(f"{name} ({files[name]})" if name in files else name for name in names)
    return tuple(channels), (f"measured: {listed}.",)


def _check_names(channels: Sequence[MeasuredChannel], image: str) -> list[str]:
    names = [channel.name for channel in channels]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{image}: two measured channels are called {twice!r}; name one with NAME=CHANNEL.")
    return names


def _own(
    source: ImageSource, url: str, number: int, name: str, opened: Callable[[str, Channel, str], ImageSource]
) -> MeasuredChannel:
    if len(source.channels) == 1 and len(source.shape) == 2:
        return MeasuredChannel(name, source)
    # A number that stands for a name of its own is the place of the channel.
    return MeasuredChannel(name, opened(url, number if name == str(number) else name, name))


def _label(what: str, source: ImageSource) -> str:
    """Return what the file calls a channel that is given by its name or number."""
    named = next((name for name in source.channels if name.casefold() == what.casefold()), None)
    if named is None and what.isdecimal() and int(what) < len(source.channels):
        named = source.channels[int(what)]
    return named or what


def _opened(
    url: str, channel: Channel, source: ImageSource, name: str, plane: Plane, content: Callable[[str], Content]
) -> ImageSource:
    try:
        opened = separated(content(url).image(channel, plane))
    except InputError as error:
        raise InputError(f"{source.name}: {name} cannot be measured: {error}") from error
    if len(opened.shape) != 2:
        raise InputError(
            f"{source.name}: {name} cannot be measured: {url} is a colour image; give one with a single channel."
        )
    if opened.shape != source.shape[:2]:
        sizes = [" x ".join(map(str, each.shape[:2])) for each in (opened, source)]
        raise InputError(
            f"{source.name}: {name} cannot be measured: {url} has {sizes[0]} pixels and the image {sizes[1]}; give a "
            "file of the same field."
        )
    return opened


def partner_versions(given: Sequence[str], url: str) -> dict[str, Any]:
    """Return what tells one content of the measured files from another, by the name of the channel."""
    versions: dict[str, Any] = {}
    for each in map(parse_measured, given):
        if each.is_pattern:
            try:
                file = partner_of(url, each.what)
                files, path = file_system(file)
                versions[str(each.name)] = str(files.ukey(path))
            except Exception:  # whatever a file system raises: opening the channel will say what is wrong
                versions[str(each.name)] = ""
    return versions
