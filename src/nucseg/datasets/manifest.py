"""The manifest `samples.csv`: one validated row per sample."""

from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from nucseg.core.errors import InputError
from nucseg.core.files import atomic_file
from nucseg.core.types import Modality, Sample
from nucseg.core.validation import plain_words

OPTIONAL = ["case"]
"""Columns that a manifest has only where a sample has such a fact."""

COLUMNS = [field.name for field in fields(Sample) if field.name not in OPTIONAL]


class _Row(BaseModel):
    """The types of a row; the fields are those of `Sample`."""

    model_config = ConfigDict(extra="forbid")

    image_id: str = Field(min_length=1)
    dataset: str = Field(min_length=1)
    split: Literal["train", "val", "test"]
    modality: Modality
    magnification: float | None = Field(gt=0)
    test_class: str | None
    height: int = Field(gt=0)
    width: int = Field(gt=0)
    channels: Annotated[Literal[1, 3], BeforeValidator(int)]
    n_nuclei: int | None = Field(ge=0)
    median_diameter_px: float | None = Field(gt=0)
    image_path: Path
    label_path: Path | None
    case: str | None = None


def read_manifest(path: Path) -> list[Sample]:
    """Read and validate a manifest.

    Args:
        path: The CSV file.

    Returns:
        The samples in the order of the file; their paths are relative to the file's folder.

    Raises:
        InputError: The file is missing or not CSV, or a row is wrong; the message names row and column.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no manifest. Create it: kedro run --pipelines data_processing.") from error
    except ValueError as error:
        raise InputError(f"{path}: is not a CSV file ({error}). Remove it and run data_processing again.") from error
    return samples_from_frame(table, path)


def write_manifest(path: Path, table: pd.DataFrame) -> None:
    """Validate and write a manifest, atomically.

    Args:
        path: The CSV file.
        table: The columns of `Sample`, empty if a fact is unknown; paths relative to the file's folder.

    Raises:
        InputError: A row is wrong.
        StorageError: It cannot be written.
    """
    samples_from_frame(table, path)
    with atomic_file(path) as temporary:
        table[[*COLUMNS, *_optional(table)]].to_csv(temporary, index=False)


def samples_from_frame(table: pd.DataFrame, path: Path) -> list[Sample]:
    """Convert the rows of a manifest to samples.

    Args:
        table: The columns of `Sample`, as text or typed; missing values are NaN or None.
        path: The manifest's file; messages name it, and paths are relative to its folder.

    Returns:
        The samples in the order of the rows.

    Raises:
        InputError: A column is missing or unknown, a value is not allowed, or two rows have the same key.
    """
    missing = [column for column in COLUMNS if column not in table.columns]
    unknown = [column for column in table.columns if column not in (*COLUMNS, *OPTIONAL)]
    if missing or unknown:
        raise InputError(
            f"{path}: missing columns {missing}, unknown columns {unknown}; allowed are exactly {COLUMNS}."
        )
    samples = []
    # Counted as in an editor: the header is line 1.
    for line, record in enumerate(table.astype(object).to_dict("records"), start=2):
        values = {column: None if pd.isna(value) else value for column, value in record.items()}
        try:
            row = _Row.model_validate(values)
        except ValidationError as error:
            problem = error.errors()[0]
            column, words = problem["loc"][0], plain_words(problem)
            raise InputError(f"{path}, line {line}, column {column}: {values[column]!r}: {words}.") from error
        labels = row.label_path and path.parent / row.label_path
        paths = {"image_path": path.parent / row.image_path, "label_path": labels}
        samples.append(Sample(**{**row.model_dump(), **paths}))
    repeated = [key for key, count in Counter(sample.key for sample in samples).items() if count > 1]
    if repeated:
        raise InputError(f"{path}: {repeated[0]} appears in several rows; each image must have one row.")
    return samples


def _optional(table: pd.DataFrame) -> list[str]:
    return [column for column in OPTIONAL if column in table.columns and table[column].notna().any()]
