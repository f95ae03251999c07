"""What `--plane` takes: the planes of a stack in depth or time, by number, or joined into one."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

ALL, MAX, FOCUS = "all", "max", "focus"
"""Every plane along an axis; their maximum in each pixel; the sharpest of them."""

Plane = tuple[str, ...]
"""One plane, in the same words: AXIS=NUMBER or AXIS=max for each chosen axis, such as `("t=0", "z=12")`."""


def parse_choice(text: str) -> tuple[str, range | str]:
    """Read `z=3`, `z=2-5`, `z=all`, `z=max` or `z=focus`.

    Returns:
        The axis in lower case, and the numbers from 0, or one of ALL, MAX and FOCUS.

    Raises:
        ValueError: It is none of these.
    """
    axis, _, what = (part.strip().casefold() for part in text.partition("="))
    numbers = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", what)
    if axis and what in (ALL, MAX, FOCUS):
        return axis, what
    if axis and numbers and int(numbers[1]) <= int(numbers[2] or numbers[1]):
        return axis, range(int(numbers[1]), int(numbers[2] or numbers[1]) + 1)
    raise ValueError(
        f"{text!r} must be AXIS=NUMBER (from 0), AXIS=FIRST-LAST, AXIS=all, AXIS=max or AXIS=focus, such as z=3"
    )


def _check(given: tuple[str, ...]) -> tuple[str, ...]:
    choices = [parse_choice(each) for each in given]
    if len({axis for axis, _ in choices}) < len(choices):
        raise ValueError("must name each axis once")
    if sum(what in (MAX, FOCUS) for _, what in choices) > 1:
        raise ValueError("must have max or focus along one axis only")
    several = [axis for axis, what in choices if what == ALL or (isinstance(what, range) and len(what) > 1)]
    if wrong := [axis for axis in several if axis not in ("t", "z")]:
        raise ValueError(f"may choose several planes along t and z; choose one along {wrong[0]}")
    return tuple(each.strip().casefold() for each in given)


def _split(given: Any) -> Any:
    return [each for each in given.split(",") if each.strip()] if isinstance(given, str) else given


PlaneChoices = Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_check)]
"""Which planes are taken, each as `parse_choice` reads it; one text may hold several, with commas between them."""


def coordinates(plane: Plane) -> dict[str, int]:
    """Return the number of a plane along each axis that has one; an axis with the maximum has none."""
    return {axis: what.start for axis, what in map(parse_choice, plane) if isinstance(what, range)}


def plane_text(plane: Sequence[str]) -> str:
    """Return a plane as it is written on the command line."""
    return ",".join(plane)
