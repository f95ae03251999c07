"""Choosing one of several by its name or its number."""

from collections.abc import Sequence

from nucseg.core.errors import InputError


def named_number(given: str | int, count: int, names: Sequence[str], name: str, kind: str) -> int | None:
    """Return the number, from 0, of what is chosen by its name or number; None where there is no such.

    Args:
        given: A name, in upper or lower case, or a number; a text that is both is taken as the name.
        count: How many there are.
        names: What they are called; may be empty.
        name: Name of the file for messages.
        kind: What they are, such as `channels`.

    Raises:
        InputError: Several have this name.
    """
    if isinstance(given, str):
        wanted = given.strip().casefold()
        found = [number for number, each in enumerate(names) if each.strip().casefold() == wanted]
        if len(found) > 1:
            numbers = " and ".join(map(str, found))
            raise InputError(f"{name}: the {kind} {numbers} are both called {given!r}; choose one by its number.")
        if found:
            return found[0]
    number = int(given) if not isinstance(given, str) or given.strip().isdecimal() else -1
    return number if 0 <= number < count else None
