import pandas as pd
import pytest
import tifffile
from click.testing import CliRunner
from PIL import Image

from nucseg.cli import cli


@pytest.fixture
def mask(tmp_path):
    picture = Image.new("L", (90, 70))
    for row in range(3):
        for column in range(4):
            if (row, column) != (1, 2):
                picture.paste(255, (10 + 20 * column, 10 + 20 * row, 17 + 20 * column, 16 + 20 * row))
    picture.save(tmp_path / "marks.png")
    return tmp_path / "marks.png"


def run(*arguments):
    return CliRunner().invoke(cli, ["register", *map(str, arguments)])


def test_numbers_table_and_overlay_are_written(mask, tmp_path):
    result = run(mask, "--rows", 3, "--cols", 4, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "3 x 4 cells: 11 found, 1 missing." in result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "marks_marks.csv",
        "marks_numbers.tif",
        "marks_overlay.png",
    ]
    numbers = tifffile.imread(tmp_path / "out" / "marks_numbers.tif")
    assert numbers.dtype == "uint16"
    assert [numbers[12, 12], numbers[32, 52], numbers[52, 75]] == [1, 0, 12]
    table = pd.read_csv(tmp_path / "out" / "marks_marks.csv")
    assert table["index"].tolist() == list(range(1, 13))
    assert table.set_index("index")["status"][7] == "missing"
    overlay = Image.open(tmp_path / "out" / "marks_overlay.png")
    assert overlay.mode == "RGB"
    # Small marks are enlarged until their numbers can be read.
    assert overlay.width % 90 == 0


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--rows", 4, "--cols", 3), "swapped"),
        (("--rows", 3, "--cols", 5), "3 x 4 marks"),
        (("--rows", 0, "--cols", 4), "--rows"),
        (("--rows", 3), "--cols"),
        (("--rows", 3, "--cols", 4, "--threshold", 2), "--threshold"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(mask, tmp_path, arguments, words):
    result = run(mask, *arguments, "-o", tmp_path / "out")
    assert result.exit_code != 0
    assert words in result.output
    assert result.output.strip().splitlines()[-1].startswith("Error: ")
    assert not (tmp_path / "out").exists()
