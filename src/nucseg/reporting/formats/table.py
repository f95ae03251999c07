"""The table of what is measured of each nucleus, as Parquet and CSV."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nucseg.core.files import atomic_file
from nucseg.images.plane_choice import coordinates
from nucseg.measurements.field import Field
from nucseg.measurements.table import measure


def write(field: Field, path: Path) -> None:
    """Write the table of one plane; see `write_stack`."""
    write_stack([field], path)


def write_stack(fields: Sequence[Field], path: Path) -> None:
    """Write one row per nucleus into `path` (Parquet) and the same rows as CSV beside it.

    Args:
        fields: The planes: the nuclei, what is measured of them, and what goes into the column `image`. Where a plane
            has a number along an axis such as `z`, this is a column, too.
        path: The Parquet file.
    """
    # Joined as text: a dot in the image's name does not start a suffix.
    with ExitStack() as stack:
        csv_file = stack.enter_context(atomic_file(path.with_name(path.name.removesuffix(".parquet") + ".csv")))
        # Opened here, because pyarrow mistakes some paths for URLs.
        opened = stack.enter_context(stack.enter_context(atomic_file(path)).open("wb"))
        writer: pq.ParquetWriter | None = None
        tables = ((field, frame) for field in fields for frame in measure(field))
        for number, (field, frame) in enumerate(tables):
            for axis, place in reversed(coordinates(field.plane).items()):
                frame.insert(0, axis, np.full(len(frame), place))
            frame.insert(0, "image", field.name)
            rows = pa.Table.from_pandas(frame, preserve_index=False)
            writer = writer or stack.enter_context(pq.ParquetWriter(opened, rows.schema))
            writer.write_table(rows)
            frame.to_csv(csv_file, mode="a", header=number == 0, index=False)
