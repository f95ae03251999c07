"""Checks of what people outlined: whether it tells nuclei apart."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nucseg.core.errors import InputError
from nucseg.core.words import counted
from nucseg.masks.numbering import count_pieces, numbered_background

# Smaller pieces in relation to a nucleus's largest are specks, as brushes and thresholds leave them.
_SPECK = 1 / 20
# Nuclei of which others hide a part, or that were outlined in two parts, are few; this many pieces a label are not.
_PIECES_PER_LABEL = 1.5
# Of an image of fine grey levels most have a pixel or two; a tile may cut a few nuclei to slivers of that size.
_SLIVER, _MANY_LABELS = 3, 20
# A region holds nuclei and is larger than they are; a nucleus may hold what lies in it, such as its nucleoli.
_HELD, _TIMES_LARGER = 3, 3
# Nuclei that were missed are drawn by hand, which makes them annotations; regions are far larger.
_TIMES_LARGEST = 2


def check_label_image(labels: NDArray[np.int32], name: str) -> list[str]:
    """Check that a label image gives each nucleus its own number, and the background 0.

    Args:
        labels: `(H, W)`, as stored.
        name: Name of the file.

    Returns:
        What is odd but can be used.

    Raises:
        InputError: It is a mask, a class map or an image, or its background is not 0.
    """
    if not labels.any():
        return []
    values, pieces, all_pieces = count_pieces(labels, _SPECK)
    # One value is a mask even if all of its nuclei but a clump are small.
    if len(values) == 1 and all_pieces > 1:
        raise InputError(
            f"{name}: has {all_pieces} separate areas that all have the value {values[0]}: this is a mask. Give each "
            "nucleus a number of its own (in Fiji: MorphoLibJ > Binary Images > Connected Components Labeling)."
        )
    split = values[pieces > 1]
    # 300 nuclei in 8 bits use each number once and only some of them twice.
    wrapped = len(values) == values[-1] == np.iinfo(np.uint8).max and len(split)
    if wrapped or pieces.sum() > _PIECES_PER_LABEL * len(values):
        raise InputError(
            f"{name}: {len(split)} of {counted(len(values), 'label')} {'has' if len(split) == 1 else 'have'} several "
            "separate pieces, as in a mask, a class map, an image or numbers above 255 in 8 bits; give each nucleus a "
            "number of its own."
        )
    if len(values) >= _MANY_LABELS and np.median(np.unique(labels, return_counts=True)[1]) < _SLIVER:
        raise InputError(
            f"{name}: most of its {len(values)} values have one or two pixels: this is an image, not a label image. "
            "Give the label image of this name."
        )
    _check_background(labels, name)
    if len(split) == 1:
        return [f"label {split[0]} has {pieces.max()} separate pieces; it is read as one nucleus"]
    shown = f"{', '.join(map(str, split[:5]))}{', ...' if len(split) > 5 else ''}"
    return [f"labels {shown} have several separate pieces; each is read as one nucleus"] if len(split) else []


def check_outlines(labels: NDArray[np.int32], name: str) -> list[str]:
    """Check that outlines, drawn as a label image, are of one nucleus each.

    Args:
        labels: `(H, W)`, as drawn.
        name: Name of the file.

    Returns:
        What is odd but can be used.

    Raises:
        InputError: Many nuclei are one object.
    """
    values, pieces, _ = count_pieces(labels, _SPECK)
    split = np.count_nonzero(pieces > 1)
    said = f"{split} of {counted(len(values), 'outline')} {'has' if split == 1 else 'have'} several separate pieces"
    if pieces.sum() > _PIECES_PER_LABEL * len(values):
        raise InputError(f"{name}: {said}, as where many nuclei are one object; split it into one object a nucleus.")
    return [f"{said}; each is read as one nucleus"] if split else []


def without_regions(
    objects: Sequence[tuple[NDArray[np.intp], str]], shape: tuple[int, int]
) -> tuple[list[NDArray[np.intp]], list[str]]:
    """Leave out the regions in which nuclei were outlined, as QuPath exports them with the nuclei.

    They are annotations much larger than all detections or cells, and objects that hold several others.

    Args:
        objects: Pixels of each, ascending, as in `labels_from_pixels`, and QuPath's type, which may be empty.
        shape: `(H, W)` of the image.

    Returns:
        The pixels of the others, and what was left out.
    """
    sizes = np.array([pixels.size for pixels, _ in objects])
    annotated = np.array([kind == "annotation" for _, kind in objects], bool)
    detected = np.array([kind in ("detection", "cell") for _, kind in objects], bool)
    regions = np.zeros(len(objects), bool)
    if detected.any():
        regions = annotated & (sizes > _TIMES_LARGEST * sizes[detected].max())
    drawn = np.flatnonzero(sizes)
    if len(drawn):
        width = shape[1]
        centres = [np.rint([np.mean(each // width), np.mean(each % width)]) for each, _ in objects if each.size]
        places = np.array(centres, np.intp) @ [width, 1]
        for number in np.flatnonzero(sizes > _TIMES_LARGER * np.median(sizes[drawn])).tolist():
            held = np.isin(places[drawn != number], objects[number][0])
            regions[number] |= held.sum() >= _HELD
    if not regions.any():
        return [pixels for pixels, _ in objects], []
    noun = "annotation" if annotated[regions].all() else "object"
    kept = [pixels for (pixels, _), region in zip(objects, regions, strict=True) if not region]
    left_out = f"{counted(int(regions.sum()), noun)} around other objects (a region?) left out"
    return kept, [f"{left_out}; {counted(len(kept), 'nucleus', 'nuclei')} read"]


def _check_background(labels: NDArray[np.int32], name: str) -> None:
    """Refuse a background that has a number.

    Where some pixels are 0, as in an inverted mask, it covers most of the image and has most of its border: a nucleus
    that is cut out touches the border, too.
    """
    if background := numbered_background(labels):
        raise InputError(
            f"{name}: no pixel is 0, which is the background; label {background} covers "
            f"{100 * np.mean(labels == background):.0f} % of the image; write 0 where no nucleus is."
        )
    values, counts = np.unique(labels, return_counts=True)
    largest, share = values[counts.argmax()], counts.max() / labels.size
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    if largest and share > 0.5 and np.mean(border == largest) > 0.5:
        raise InputError(
            f"{name}: label {largest} covers {100 * share:.0f} % of the image and most of its border, as a "
            "background does; write 0 where no nucleus is, and in nuclei their numbers."
        )
