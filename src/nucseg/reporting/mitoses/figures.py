"""The counts of a slide that grading needs, and what they depend on."""

from dataclasses import dataclass

from nucseg.inference.mitoses.config import FIELD_MM2
from nucseg.inference.mitoses.find import Mitoses


@dataclass(frozen=True)
class Figures:
    """The counts of a slide.

    Attributes:
        mitoses: On the whole slide.
        area_mm2: Area of the image, with the glass around the tissue.
        mitoses_per_mm2: `mitoses` over `area_mm2`.
        densest_2mm2: Mitoses in the circle of 2 mm² that holds most of them; None if the image is smaller.
        densest_row_um: The circle's centre, micrometres below the upper border of the image.
        densest_column_um: The same from the left border.
    """

    mitoses: int
    area_mm2: float
    mitoses_per_mm2: float
    densest_2mm2: int | None
    densest_row_um: float | None
    densest_column_um: float | None


def figures(found: Mitoses) -> Figures:
    """Compute the counts of a slide, rounded to meaningful digits."""
    field = found.densest
    is_smaller = found.area_mm2 < FIELD_MM2
    return Figures(
        mitoses=len(found),
        area_mm2=float(f"{found.area_mm2:.4g}"),
        mitoses_per_mm2=float(f"{found.per_mm2:.4g}"),
        densest_2mm2=field.count if field else None if is_smaller else 0,
        densest_row_um=round(field.centre[0], 1) if field else None,
        densest_column_um=round(field.centre[1], 1) if field else None,
    )


def what_it_depends_on(nuclei: int) -> str:
    """Return what the counts of a slide, of which so many nuclei were classified, depend on."""
    return (
        f"{nuclei} nuclei were classified; a mitosis that was not found as a nucleus is not counted, so all counts "
        "depend on the nuclei found."
    )


def remark(found: Mitoses) -> str:
    """Return the remark on the counts, in a sentence or two."""
    smaller = (
        f" The image is smaller than {FIELD_MM2:g} mm², so there is no count for a field."
        if found.area_mm2 < FIELD_MM2
        else ""
    )
    return f"{what_it_depends_on(found.nuclei)} The area is that of the image, glass included.{smaller}"
