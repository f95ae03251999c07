"""Units of length as the file formats spell them."""

import re
import unicodedata

_PREFIXES = {
    "femto": ("f", 1e-9),
    "pico": ("p", 1e-6),
    "nano": ("n", 1e-3),
    "micro": ("u", 1.0),
    "milli": ("m", 1e3),
    "centi": ("c", 1e4),
    "deci": ("d", 1e5),
    "": ("", 1e6),
}
_MICROMETRES = (
    {name: size for prefix, (_, size) in _PREFIXES.items() for name in (f"{prefix}meter", f"{prefix}metre")}
    | {f"{symbol}m": size for symbol, size in _PREFIXES.values()}
    | dict.fromkeys(("micron", "micra", "u", "mikrometer"), 1.0)
    | dict.fromkeys(("angstrom", "\u00e5ngstr\u00f6m", "\u00e5"), 1e-4)
    | dict.fromkeys(("inch", "in", "inches", '"'), 25400.0)
    | dict.fromkeys(("mil", "thou"), 25.4)
)
_NO_UNIT = ("", "none", "null", "pixel", "px", "reference frame")


def micrometres(unit: object) -> float | None:
    """Return the micrometres of a unit of length.

    Args:
        unit: Its name or symbol, singular or plural, in any case and with either micro sign.

    Returns:
        0 if there is no unit (nothing, pixels); None if the unit is unknown.
    """
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda code: chr(int(code[1], 16)), "" if unit is None else str(unit))
    text = text.replace("\u00c2\u00b5", "\u00b5")  # UTF-8 that was read as Latin-1
    # NFKC joins the two micro signs, and the two signs of the angstrom.
    text = unicodedata.normalize("NFKC", text.strip().strip("\0")).casefold()
    text = re.sub("^\u03bc", "u", text)
    for spelt in (text, re.sub("(?<=..)s$", "", text)):  # singular, plural
        if spelt in _NO_UNIT:
            return 0.0
        if spelt in _MICROMETRES:
            return _MICROMETRES[spelt]
    return None
