"""The files that `nucseg predict` writes, one format per module.

Each is written nucleus by nucleus or window by window, so that memory does not grow with the image.
"""

from nucseg.reporting.formats.registry import FORMATS, Format, write_format

__all__ = ["FORMATS", "Format", "write_format"]
