"""Files for all images of a run together: a summary, and one table of all nuclei."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from nucseg.batch.result import ImageResult
from nucseg.core.errors import InputError
from nucseg.core.files import atomic_file, atomic_files
from nucseg.images.places import absolute

SUMMARY = "summary.csv"
"""One row per image; its columns are documented in `docs/predict.md`."""

TABLES = ("table.csv", "table.parquet")
"""The tables of all images as one."""

DONE, INCOMPLETE = "done", "incomplete"
"""The `status` of an image whose results are written; INCOMPLETE where tiles of it could not be read."""

WRITTEN = (DONE, INCOMPLETE)
"""The `status` of images that have results."""

_AFTER = ("seconds", "error", "notes", "source", "files")


@dataclass(frozen=True)
class Summary:
    """The file with one row per image, of all runs into a folder.

    Attributes:
        name: Its name.
        figures: Columns that stand behind the number of nuclei.
        others: Names of the files that a run also replaces.
        mark: What the names of images are followed by where runs of several kinds keep their records in one folder.
        counted: The column of `ImageResult.nuclei`: what is counted.
    """

    name: str
    figures: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    mark: str = ""
    counted: str = "nuclei"

    @property
    def _before(self) -> tuple[str, ...]:
        return "image", "status", self.counted

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the file."""
        return (*self._before, *self.figures, *_AFTER)

    def record(self, image: str) -> str:
        """Return the name of an image's record."""
        return f"{image}{self.mark}"

    def write(self, output: Path, outcomes: Sequence[ImageResult]) -> None:
        """Write the images of this run, after those of earlier runs into the same folder.

        An image whose results were there already keeps its row, and so do results that another image of the same name
        would have replaced if it had not failed.

        Args:
            output: The run's output folder.
            outcomes: The outcomes of this run's images, in their order.

        Raises:
            StorageError: It cannot be written.
        """
        earlier = list(self.rows(output))
        with_results = {row["image"]: row for row in earlier if row["status"] in WRITTEN}
        rows = []
        for outcome in outcomes:
            before = with_results.get(outcome.name)
            is_kept = before and (outcome.skipped or outcome.has_results)
            rows.append(before if before and is_kept else _row(outcome, output, self.counted))
        written = {row["image"] for row in rows if row["status"] in WRITTEN}
        tried = {_identity(row) for row in rows}
        earlier = [row for row in earlier if row["image"] not in written and _identity(row) not in tried]
        with (
            atomic_file(output / self.name) as temporary,
            # A path may not be valid UTF-8; the names of results, which identify the rows, always are.
            temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
        ):
            writer = csv.DictWriter(file, self.columns, lineterminator="\n", extrasaction="ignore", restval="")
            writer.writeheader()
            writer.writerows(earlier)
            writer.writerows(rows)

    def check(self, output: Path) -> None:
        """Refuse a folder if a run would replace a file in it that nucseg did not write.

        Raises:
            InputError: There is such a file.
        """
        other = next((name for name in (self.name, *self.others) if (output / name).exists()), None)
        if other and not self._is_here(output):
            raise InputError(
                f"{output / other}: was not written by nucseg and would be overwritten; choose another folder."
            )

    def rows(self, output: Path) -> Iterator[dict[str, str]]:
        """Read the rows of earlier runs; nothing if there is none."""
        if self._is_here(output):
            with (output / self.name).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
                yield from csv.DictReader(file)

    def _is_here(self, output: Path) -> bool:
        try:
            with (output / self.name).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
                # An earlier version wrote fewer columns.
                return {*self._before, *_AFTER} <= set(next(csv.reader(file), ())) <= set(self.columns)
        except (OSError, csv.Error):
            return False


ORIGIN = ("model", "model_version", "score_threshold", "scale", "nucseg_version")
"""Columns that say how the nuclei of an image were found."""

NUCLEI = Summary(SUMMARY, figures=ORIGIN, others=TABLES)
"""That of `nucseg predict`."""


def write_tables(output: Path) -> bool:
    """Write the nuclei of all images in the summary that have a table as `table.csv` and `table.parquet`.

    Columns that an image lacks (micrometres, where its pixel size is unknown) are empty. The rows are copied a batch at
    a time.

    Args:
        output: The run's output folder, with its summary.

    Returns:
        Whether there was a table.

    Raises:
        StorageError: They cannot be written.
    """
    paths = [output / "table" / f"{row['image']}.parquet" for row in NUCLEI.rows(output) if row["status"] in WRITTEN]
    paths = [path for path in paths if path.is_file()]
    if not paths:
        return False
    schemas = []
    for path in paths:
        with path.open("rb") as file:
            schemas.append(pq.read_schema(file).remove_metadata())
    schema = pa.unify_schemas(schemas, promote_options="permissive")
    with atomic_files(output, TABLES) as folder, ExitStack() as stack:
        csv_file, parquet_file = (stack.enter_context((folder / name).open("wb")) for name in TABLES)
        as_csv = stack.enter_context(pa_csv.CSVWriter(csv_file, schema))
        as_parquet = stack.enter_context(pq.ParquetWriter(parquet_file, schema))
        for path in paths:
            with path.open("rb") as file:
                for batch in pq.ParquetFile(file).iter_batches():
                    rows = pa.concat_tables(
                        [schema.empty_table(), pa.Table.from_batches([batch])], promote_options="permissive"
                    )
                    as_csv.write_table(rows)
                    as_parquet.write_table(rows)
    return True


def _identity(row: Mapping[str, str]) -> tuple[str, str]:
    """Return what tells an image from another one of the same name: name and place, as the file can hold them."""
    return row["image"], absolute(row["source"] or "").encode(errors="backslashreplace").decode()


def _row(outcome: ImageResult, output: Path, counted: str) -> dict[str, str]:
    done = outcome.error is None
    return {
        "image": outcome.name,
        "status": "failed" if not done else INCOMPLETE if outcome.incomplete else DONE,
        counted: str(outcome.nuclei) if done else "",
        **{name: str(value) for name, value in outcome.figures.items()},
        "seconds": f"{outcome.seconds:.1f}" if not outcome.skipped else "",
        "error": outcome.error or outcome.incomplete or "",
        "notes": " ".join(outcome.notes),
        "source": outcome.image,
        "files": ";".join(file.relative_to(output).as_posix() for file in outcome.files),
    }
