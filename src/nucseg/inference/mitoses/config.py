"""What is fixed about mitoses on slides."""

NUCLEUS_PIXEL_SIZE = 0.125
"""Micrometres a pixel at which the network that finds the nuclei sees a slide: finer than for other nuclei, or half of
the mitoses are not found as nuclei (`benchmarks/mitoses.py`)."""

NUCLEUS_SCORE = 0.1
"""Lowest score of a nucleus to classify: a mitosis looks little like other nuclei, and scores low."""

FIELD_MM2 = 2.0
"""Square millimetres of the field in which mitoses are counted for a grade."""

MERGED_UM = 7.5
"""Micrometres up to which two mitoses are one: the plates of an anaphase are often found as two nuclei."""
