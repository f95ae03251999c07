"""Recognise coarse JPEG compression."""

_TABLES = 0xDB
_SCAN, _END = b"\xda", b"\xd9"

# From quality 90 on (steps of 3) both shipped models find as many nuclei as in the grey image, within 5 %; at 85 (steps
# of 5) Mask R-CNN misses up to 6 %, at 75 up to 8 % (benchmarks/false_colour.py).
_COARSE = 5


def is_coarse(header: bytes) -> bool:
    """Return whether a JPEG is compressed so strongly that a faint stain in one colour may be lost.

    Such a stain adds little to the brightness and much to the two colour differences, which are stored in coarser
    steps.

    Args:
        header: The file, its bytes up to the first scan, or the tables of a TIFF's JPEG.

    Returns:
        Whether the mean of a block is rounded to 5 steps or more in any quantisation table (ITU-T T.81, B.2.4.1).
    """
    place = 2
    while header[place : place + 1] == b"\xff" and header[place + 1 : place + 2] not in (_SCAN, _END, b""):
        length = int.from_bytes(header[place + 2 : place + 4])
        if header[place + 1] == _TABLES:
            tables = header[place + 4 : place + 2 + length]
            while tables:
                width = 1 + (tables[0] >> 4)
                if int.from_bytes(tables[1 : 1 + width]) >= _COARSE:
                    return True
                tables = tables[1 + 64 * width :]
        place += 2 + length
    return False
