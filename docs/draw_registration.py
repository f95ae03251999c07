"""Draw docs/images/registration.png: the overlay of the numbered marks in samples/.

python docs/draw_registration.py
"""

from pathlib import Path

import imageio.v3 as iio

from nucseg.registration.mask import read_mask
from nucseg.registration.overlay import draw_overlay
from nucseg.registration.register import register_mask

DOCS = Path(__file__).parent


def main() -> None:
    """Draw the picture."""
    found = register_mask(read_mask(DOCS.parent / "samples/ablation/marks.png"), 8, 10)
    iio.imwrite(DOCS / "images/registration.png", draw_overlay(found.mask, found.assignment, found.lattice))


if __name__ == "__main__":
    main()
