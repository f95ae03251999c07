"""A picture of the marks with their numbers."""

import cv2
import numpy as np
from numpy.typing import NDArray

from nucseg.registration.assign import FOUND, MERGED, MISSING, PIECES, Assignment
from nucseg.registration.lattice import Lattice

# Red, green, blue. Neighbours alternate between two tones, so that a wrong border shows.
_TONES = {
    FOUND: ((70, 160, 235), (50, 115, 190)),
    MERGED: ((245, 165, 50), (205, 125, 20)),
    PIECES: ((190, 110, 225),) * 2,
}
_DEBRIS, _MISSING, _TEXT, _EDGE = (110, 110, 110), (230, 60, 60), (255, 255, 255), (0, 0, 0)
# Height of a digit relative to the distance of marks, and the least height in pixels that can be read.
_DIGITS, _LEAST = 0.24, 9
_MOST_PIXELS = 60_000_000


def draw_overlay(mask: NDArray, assignment: Assignment, lattice: Lattice) -> NDArray[np.uint8]:
    """Draw the marks with the numbers of their cells; small marks are enlarged until the numbers can be read.

    Args:
        mask: (H, W), not 0 in marks.
        assignment: What the cells hold.
        lattice: Where the cells are.

    Returns:
        (H', W', 3) uint8 RGB: blue for a mark, orange for a part of merged ones, violet for one in pieces, grey for
        what belongs to no cell, a red cross where a mark is missing.
    """
    rows, columns = assignment.status.shape
    colours = np.zeros((rows * columns + 1, 3), np.uint8)
    row, column = np.indices((rows, columns))
    for status, tones in _TONES.items():
        for odd, tone in enumerate(tones):
            chosen = (assignment.status == status) & ((row + column) % 2 == odd)
            colours[1 + np.flatnonzero(chosen.ravel())] = tone
    picture = colours[assignment.numbers]
    picture[(mask != 0) & (assignment.numbers == 0)] = _DEBRIS

    spacing = lattice.spacing()
    pitch = float(np.median(spacing)) if np.isfinite(spacing).all() else min(mask.shape) / 2
    # Long numbers need the room of their digits.
    height = _DIGITS * pitch * min(1, 3 / len(str(rows * columns)))
    enlarge = int(np.clip(np.ceil(_LEAST / height), 1, max(int(np.sqrt(_MOST_PIXELS / mask.size)), 1)))
    picture = picture.repeat(enlarge, axis=0).repeat(enlarge, axis=1)
    # A digit of Hershey's simplex font is 21 pixels high at scale 1.
    scale = min(height * enlarge, 60) / 21
    for number, (y, x) in enumerate(enlarge * (lattice.middles.reshape(-1, 2) + 0.5)):
        if assignment.status.flat[number] == MISSING:
            centre = (round(float(x)), round(float(y)))
            cv2.drawMarker(
                picture, centre, _MISSING, cv2.MARKER_TILTED_CROSS, round(0.4 * pitch * enlarge), 1, cv2.LINE_AA
            )
        text = str(number + 1)
        (width, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        place = (round(float(x) - width / 2), round(float(y) + high / 2))
        for colour, thickness in ((_EDGE, 3), (_TEXT, 1)):
            cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)
    return picture
