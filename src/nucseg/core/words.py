"""Words of messages."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number and its noun, such as `1 image` or `2 images`.

    Args:
        number: The number.
        noun: The noun in the singular.
        plural: Its plural; None adds an s.
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
