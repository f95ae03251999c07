from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nucseg.core.errors import InputError
from nucseg.core.types import Sample
from nucseg.datasets.manifest import COLUMNS, read_manifest, write_manifest

ROW = {
    "image_id": "0012",
    "dataset": "bbbc038",
    "split": "train",
    "modality": "fluorescence",
    "magnification": None,
    "test_class": None,
    "height": 256,
    "width": 320,
    "channels": 1,
    "n_nuclei": 3,
    "median_diameter_px": 17.5,
    "image_path": "images/bbbc038/0012.tif",
    "label_path": "labels/bbbc038/0012.tif",
}


def table(*changes: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame([ROW | change for change in changes])


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "data" / "samples.csv"
    other = {"image_id": "NA", "dataset": "s_bsst265", "magnification": 2.5, "test_class": "GNB-I", "channels": 3}

    write_manifest(path, table({}, other))
    first, second = read_manifest(path)

    assert list(pd.read_csv(path).columns) == COLUMNS
    assert first == Sample(
        **{**ROW, "image_path": path.parent / ROW["image_path"], "label_path": path.parent / ROW["label_path"]}
    )
    assert (second.key, second.magnification, second.test_class, second.channels) == ("s_bsst265/NA", 2.5, "GNB-I", 3)


@pytest.mark.parametrize(
    "column, value",
    [
        ("split", "training"),
        ("modality", "electron"),
        ("height", 0),
        ("width", "wide"),
        ("channels", 2),
        ("n_nuclei", -1),
        ("magnification", -20),
        ("median_diameter_px", 0),
        ("image_id", None),
        ("image_path", None),
    ],
)
def test_a_wrong_value_names_row_and_column(column: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"

    with pytest.raises(InputError, match=rf"samples\.csv, line 3, column {column}: "):
        write_manifest(path, table({}, {"image_id": "b", column: value}))

    assert not path.exists()


def test_a_wrong_value_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "samples.csv"
    table({"split": "training"}).to_csv(path, index=False)

    with pytest.raises(InputError, match=r"line 2, column split: 'training': must be 'train', 'val' or 'test'"):
        read_manifest(path)


def test_a_key_stands_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bbbc038/0012 appears in several rows"):
        write_manifest(tmp_path / "samples.csv", table({}, {}))


def test_columns_are_exact(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing columns \['split'\], unknown columns \['fold'\]"):
        write_manifest(tmp_path / "samples.csv", table({}).rename(columns={"split": "fold"}))


def test_a_missing_or_broken_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no manifest.*kedro run --pipelines data_processing"):
        read_manifest(tmp_path / "samples.csv")
    (tmp_path / "samples.csv").write_text("")
    with pytest.raises(InputError, match="is not a CSV file"):
        read_manifest(tmp_path / "samples.csv")
