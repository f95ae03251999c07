"""Which image of a file that holds several (scenes, series, positions) is taken."""

from collections.abc import Sequence

from nucseg.core.errors import InputError
from nucseg.images.naming import named_number

Scene = str | int | None
"""A scene's name, or its number from 0; None takes the only one."""


def choose_scene(scene: Scene, names: Sequence[str], name: str, *, kind: str = "scenes") -> int:
    """Return the number of the scene to take.

    Args:
        scene: Its name, in upper or lower case, or its number; a text that is both is taken as the name.
        names: What the scenes are called, perhaps empty.
        name: Name of the file for messages.
        kind: What the file calls them.

    Raises:
        InputError: There are several and none is chosen, or several of this name, or none.
    """
    listed = ", ".join(f"{number}: {each}" if each else str(number) for number, each in enumerate(names))
    if scene is None:
        if len(names) == 1:
            return 0
        raise InputError(
            f"{name}: holds {len(names)} {kind} ({listed}); choose one with --scene NAME or NUMBER on the command "
            "line, or save the one to use as a separate file."
        )
    number = named_number(scene, len(names), names, name, kind)
    if number is None:
        raise InputError(f"{name}: has no scene {str(scene)!r}; it holds {listed}.")
    return number
