"""Find the image among those in a TIFF, and its planes that are stored in this file."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import tifffile

from nucseg.core.errors import InputError
from nucseg.images.colours import sample_names
from nucseg.images.planes import Channel, channel_number
from nucseg.images.scanners import leica_macros
from nucseg.images.scenes import Scene, choose_scene

# What scanners call the images beside the image of the tissue; Bio-Formats writes "label image" and "macro image".
_ASIDE = re.compile("(thumbnail|label|macro|overview|map|preview)( image)?", re.IGNORECASE)


@dataclass(frozen=True)
class TiffImage:
    """The one image of a TIFF.

    Attributes:
        series: Its planes that are stored in this file.
        channel_names: The file's names of the channels.
        ome: Its element `Image`, if the file is an OME-TIFF.
        notes: What is ignored.
        channels: The numbers of its channels in a set of files, if other files hold other channels.
        set_names: The names of the channels of the whole set.
        is_part: Whether other files hold, or should hold, other planes.
    """

    series: tifffile.TiffPageSeries
    channel_names: tuple[str, ...]
    ome: ET.Element | None = None
    notes: tuple[str, ...] = ()
    channels: tuple[int, ...] = ()
    set_names: tuple[str, ...] = field(default=(), repr=False)
    is_part: bool = False

    def local(self, channel: Channel, name: str, folder: Path | None) -> Channel:
        """Return the number in this file of a channel that is given by its name or its number in the set of files.

        Args:
            channel: The channel.
            name: Name of the file for messages.
            folder: The folder of the other files, if it is known.

        Raises:
            InputError: It is in another file, or there is no such channel.
        """
        if channel is None or not self.channels:
            return channel
        number = channel_number(channel, len(self.set_names), self.set_names, name)
        if number in self.channels:
            return self.channels.index(number)
        files = _other_files(self.ome, number)
        where = f"it is in {_listed(files)}" if files else "the file lacks it"
        if folder and files and not any((folder / each).is_file() for each in files):
            where += f", which {'is' if len(files) == 1 else 'are'} missing"
        raise InputError(f"{name}: does not hold the channel {str(channel)!r}; {where}.")


def find_image(tiff: tifffile.TiffFile, name: str, scene: Scene = None) -> TiffImage:
    """Find the image of a file, or one of several; declared thumbnails, labels, macros and reduced copies do not count.

    Args:
        tiff: The file, opened without the files beside it.
        name: Name for messages.
        scene: As in `choose_scene`.

    Raises:
        InputError: It holds none, several and none is chosen, or pages that its description leaves out.
    """
    try:
        found = tiff.series
    except ValueError as error:  # of an OME-TIFF that does not say which planes lie in which file
        raise InputError(f"{name}: cannot be read ({error}); save the image to use as a separate file.") from error
    if not found:
        raise InputError(f"{name}: cannot be read (it holds no image). The file is damaged; fetch or save it again.")
    stale = _check_imagej(tiff, found[0], name)
    macros = leica_macros(tiff) if found[0].kind == "scn" else []
    overviews = [series for series, is_macro in zip(found, macros, strict=False) if is_macro]
    aside = [series for series in found if _is_aside(series, found[0])] + overviews
    images = [series for series in found if series not in aside] or found
    image = images[_choose(images, scene, name)]
    notes = [*stale]
    called = ["macro" if series in overviews else series.name.strip().lower() for series in aside]
    notes += [f"its {each} is ignored." for each in called if each]
    copies = [each for each in aside if each.keyframe.is_subifd and not each.keyframe.is_reduced]
    if image.kind == "generic":
        copies += [level for level in image.levels[1:] if not level.keyframe.is_reduced]
    if copies:
        sizes = ", ".join(map(_size, copies))
        notes.append(f"smaller images in it ({sizes}) are taken for reduced copies.")
    ome = _ome_image(tiff, image, found.index(image))
    names = _channel_names(tiff, image, ome)
    own = _own(TiffImage(image, names, ome, tuple(notes)), tiff, name)
    if not own.is_part:
        _check_described(tiff, found, image, name)
    return own


def _choose(images: list[tifffile.TiffPageSeries], scene: Scene, name: str) -> int:
    names = [series.name.strip() for series in images]
    if scene is None:  # an image may be recognised by its size
        names = [": ".join(filter(None, [each, _size(series)])) for each, series in zip(names, images, strict=True)]
    return choose_scene(scene, names, name, kind="images")


def _check_imagej(tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries, name: str) -> list[str]:
    """Check that ImageJ's description does not name more images than there are: note it, or refuse ambiguous planes."""
    held = len(tiff.pages)
    if series.kind == "generic":
        images = (tiff.imagej_metadata or {}).get("images", 1)
    elif series.kind == "imagej" and not series.keyframe.is_final:  # otherwise bare pixels may follow one page
        images = series.size // series.keyframe.size
    else:
        return []
    if images <= held:
        return []
    stale = f"its ImageJ description declares {images} images, but it holds {held}"
    if series.kind == "generic":
        return [f"{stale}."]
    raise InputError(f"{name}: {stale}; save it again.")


def _check_described(
    tiff: tifffile.TiffFile, found: list[tifffile.TiffPageSeries], image: tifffile.TiffPageSeries, name: str
) -> None:
    """Refuse a file with more planes than its OME or ImageJ description declares; tifffile would drop the others."""
    if image.kind == "ome":
        declared = {page.index for series in found for page in series if page is not None}
    elif image.kind == "imagej":  # whose series has one page or all pages of the file, whatever is declared
        declared = set(range(image.size // image.keyframe.size))
    else:
        return
    held = len(tiff.pages)
    if held <= len(declared):  # before pages are parsed, of which there may be thousands
        return
    # As pages, for tifffile's frames have the size and the kind of the first page, not their own.
    alike = {number for number in range(held) if _is_alike(tiff.pages.get(number, aspage=True), image.keyframe)}
    if left_out := len(alike - declared):
        count = len(alike) - left_out
        raise InputError(
            f"{name}: its description declares {count} plane{'s' * (count != 1)}, but the file holds {len(alike)}; "
            "save the one to use as a separate file, or correct its description."
        )


def _is_alike(page: Any, other: tifffile.TiffPage) -> bool:
    return (page.shape, page.dtype) == (other.shape, other.dtype) and not page.is_reduced and not page.is_mask


def _is_aside(series: tifffile.TiffPageSeries, first: tifffile.TiffPageSeries) -> bool:
    """Return whether the file itself declares that this is not the image: by name, by kind, or as a smaller child."""
    page = series.keyframe
    is_child = page.is_subifd and series.size < first.size
    return bool(_ASIDE.fullmatch(series.name.strip())) or page.is_reduced or page.is_mask or is_child


def _size(series: tifffile.TiffPageSeries) -> str:
    return f"{series.keyframe.imagelength} x {series.keyframe.imagewidth} pixels"


def _ome_image(tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries, number: int) -> ET.Element | None:
    """Find the element of a series, which is not always of the same number: images of other files are listed, too."""
    try:
        root = ET.fromstring(tiff.ome_metadata or "<OME/>")
    except ET.ParseError:
        return None
    page = series.keyframe
    images = root.findall("{*}Image")
    # Where several are alike, that in the same place.
    images = images[number : number + 1] + images
    named = [each for each in images if each.get("Name") == series.name] or images
    sized = [
        each
        for each in named
        for pixels in each.findall("{*}Pixels")
        if (pixels.get("SizeY"), pixels.get("SizeX")) == (str(page.imagelength), str(page.imagewidth))
    ]
    return next(iter(sized), None)


def _channel_names(tiff: tifffile.TiffFile, series: tifffile.TiffPageSeries, ome: ET.Element | None) -> tuple[str, ...]:
    if series.kind == "lsm":  # whose photometric interpretation says RGB of any three channels
        names = ((tiff.lsm_metadata or {}).get("ChannelColors") or {}).get("ColorNames") or []
    elif series.keyframe.samplesperpixel > 1:
        return sample_names(series.keyframe)
    elif ome is not None and series.kind in ("ome", "mmstack"):  # otherwise it is not known which page is which
        names = [element.get("Name", "") for element in ome.findall("{*}Pixels/{*}Channel")]
    else:
        names = (tiff.imagej_metadata or {}).get("Labels") or []
    return tuple(map(str, names))


def _own(image: TiffImage, tiff: tifffile.TiffFile, name: str) -> TiffImage:
    """Keep the planes that are stored in this file; tifffile would fill the others with zeros."""
    series, pages = image.series, list(image.series)
    own = [place for place, page in enumerate(pages) if page is not None and page.dataoffsets and any(page.dataoffsets)]
    if len(own) == len(pages) or len(pages) == 1:
        return image
    axes, shape = series.get_axes(squeeze=True), series.get_shape(squeeze=True)
    inner = len(series.keyframe.shape)
    outer = axes[:-inner]
    places = [np.unique(numbers) for numbers in np.unravel_index(own, shape[:-inner])] if outer else []
    if np.prod([len(each) for each in places], dtype=int) != len(own):
        raise InputError(f"{name}: holds {len(own)} of {len(pages)} planes; save the one to use as a separate file.")
    files = [each for each in _other_files(image.ome) if each != tiff.filename]
    rest = f"the others are in {_listed(files)}" if files else "it lacks the others"
    kept = tifffile.TiffPageSeries(
        [pages[place] for place in own],
        shape=(*map(len, places), *shape[-inner:]),
        dtype=series.dtype,
        axes=axes,
        parent=tiff,
        name=series.name,
        kind=series.kind,
    )
    notes = (*image.notes, f"this file holds {len(own)} of the image's {len(pages)} planes; {rest}.")
    if "C" not in outer:
        return replace(image, series=kept, notes=notes, is_part=True)
    count, channels = shape[axes.index("C")], tuple(map(int, places[outer.index("C")]))
    names = image.channel_names if len(image.channel_names) == count else ("",) * count
    return replace(
        image,
        series=kept,
        notes=notes,
        channel_names=tuple(names[number] for number in channels),
        channels=channels,
        set_names=names,
        is_part=True,
    )


def _listed(files: list[str]) -> str:
    return ", ".join(files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")


def _other_files(ome: ET.Element | None, channel: int | None = None) -> list[str]:
    """List the files that an OME-TIFF names for its planes, or for those of a channel."""
    if ome is None:
        return []
    parts = ome.findall("{*}Pixels/{*}TiffData")
    if channel is not None:
        parts = [part for part in parts if part.get("FirstC", "0") == str(channel)] or parts
    files = [uuid.get("FileName", "") for part in parts for uuid in part.findall("{*}UUID")]
    return sorted({Path(file).name for file in files if file})
