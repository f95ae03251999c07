"""What the configurations of these models share."""

from typing import Annotated

from pydantic import AfterValidator, Field

MAX_CLASSES = 255
"""A class map is of bytes, and 255 stands for void."""


def _differ(classes: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(classes)) < len(classes):
        raise ValueError(f"the names must differ, but {max(classes, key=classes.count)!r} is there twice")
    return classes


ClassName = Annotated[str, Field(min_length=1, max_length=64)]
ClassNames = Annotated[tuple[ClassName, ...], Field(min_length=2, max_length=MAX_CLASSES), AfterValidator(_differ)]
Filters = Annotated[int, Field(ge=4, le=1024)]
