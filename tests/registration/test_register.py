import numpy as np
import pandas as pd
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from nucseg.core.errors import InputError
from nucseg.registration.register import register_file, register_mask


def matches(grid, numbers):
    """Return true marks, how many have most of their pixels in their cell, and cells whose pixels are another's."""
    cells = grid.rows * grid.columns + 1
    inside = grid.numbers > 0
    shared = np.bincount(grid.numbers[inside] * cells + numbers[inside], minlength=cells**2).reshape(cells, cells)
    marks, given_cells = np.unique(grid.numbers[inside]), np.unique(numbers[numbers > 0])
    right = int((shared.argmax(axis=1)[marks] == marks).sum())
    return len(marks), right, int((shared.argmax(axis=0)[given_cells] != given_cells).sum())


@pytest.mark.parametrize("shifted", [0, 0.15])
def test_99_of_100_marks_are_right(draw_grid, shifted):
    """Turned by up to 5 degrees, unevenly spaced, 10 % missing, 5 % merged, crescents and others, dirt."""
    marks = right = false = 0
    for seed, degrees in enumerate(np.linspace(-5, 5, 12)):
        grid = draw_grid(seed, 8 + seed, 17 - seed, degrees, shifted=shifted)
        found = matches(grid, register_mask(grid.mask, grid.rows, grid.columns).assignment.numbers)
        marks, right, false = marks + found[0], right + found[1], false + found[2]
        assert found[1] >= 0.95 * found[0]
    assert right >= 0.99 * marks
    assert false <= 0.002 * marks


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(4, 10),
    columns=st.integers(4, 10),
    degrees=st.floats(-5, 5),
    missing=st.floats(0, 0.15),
)
def test_no_mark_has_two_cells_and_no_cell_two_marks(draw_grid, seed, rows, columns, degrees, missing):
    grid = draw_grid(seed, rows, columns, degrees, missing=missing, merged=0)
    try:
        registration = register_mask(grid.mask, rows, columns)
    except InputError:
        return  # refusing is allowed, a wrong answer is not
    numbers, table = registration.assignment.numbers, registration.table
    assert not numbers[~grid.mask].any()
    assert set(np.unique(numbers)) - {0} == set(table["index"][table["status"] != "missing"])
    np.testing.assert_array_equal(
        table["area"].fillna(0), np.bincount(numbers.ravel(), minlength=rows * columns + 1)[1:]
    )
    marks, right, false = matches(grid, numbers)
    assert right >= marks - max(1, 0.02 * marks)
    assert false == 0
    for mark in np.unique(grid.numbers[grid.numbers > 0]):
        assert (
            len(set(numbers[grid.numbers == mark]) - {0}) <= 1
            or registration.assignment.status.flat[mark - 1] == "merged"
        )


def small_mask():
    """3 x 4 marks of 6 x 6 pixels, 20 apart from (10, 10); the sixth is missing, the last two are joined."""
    mask = np.zeros((70, 90), bool)
    for row in range(3):
        for column in range(4):
            if (row, column) != (1, 1):
                mask[10 + 20 * row : 16 + 20 * row, 10 + 20 * column : 16 + 20 * column] = True
    mask[52:54, 50:76] = True
    mask[2, 40] = True
    return mask


def test_a_small_mask_by_hand():
    registration = register_mask(small_mask(), 3, 4)
    table = registration.table
    assert table["status"].tolist() == ["found"] * 5 + ["missing"] + ["found"] * 4 + ["merged"] * 2
    assert table["row"].tolist() == [1] * 4 + [2] * 4 + [3] * 4
    assert table["column"].tolist() == [1, 2, 3, 4] * 3
    assert table["index"].tolist() == list(range(1, 13))
    assert table["area"].tolist()[:5] == [36] * 5
    assert pd.isna(table["area"][5])
    assert pd.isna(table["centroid-0"][5])
    assert (table["centroid-0"][4], table["centroid-1"][4]) == (32.5, 12.5)
    assert (table["expected-0"][5], table["expected-1"][5]) == pytest.approx((32.5, 32.5), abs=0.1)
    numbers = registration.assignment.numbers
    assert numbers[12, 12] == 1
    assert numbers[12, 72] == 4
    assert numbers[32, 32] == numbers[2, 40] == 0
    # The bridge is cut in its middle.
    assert [numbers[53, column] for column in (52, 60, 65, 74)] == [11, 11, 12, 12]
    assert not registration.notes


@pytest.mark.parametrize("rows, columns", [(3, 5), (2, 4), (4, 4), (4, 3), (1, 12), (12, 1), (300, 2)])
def test_a_wrong_number_is_noticed(rows, columns):
    with pytest.raises(InputError, match=r"3 x 4 marks|only 11 regions") as error:
        register_mask(small_mask(), rows, columns, "m.png")
    assert str(error.value).startswith("m.png: ")
    assert ("swapped" in str(error.value)) == ((rows, columns) == (4, 3))


@pytest.mark.parametrize("wrong", [(1, 0), (-1, 0), (0, 1), (0, -1), (1, -1)])
def test_one_too_many_or_too_few_is_noticed(draw_grid, wrong):
    for seed in range(3):
        grid = draw_grid(seed, 9, 11, 4 - 4 * seed)
        with pytest.raises(InputError):
            register_mask(grid.mask, 9 + wrong[0], 11 + wrong[1])


def test_what_is_no_grid_is_refused():
    rng = np.random.default_rng(0)
    mask = np.zeros((400, 400), bool)
    for row, column in rng.integers(5, 390, (80, 2)):
        mask[row : row + 5, column : column + 5] = True
    with pytest.raises(InputError, match="8 x 10"):
        register_mask(mask, 8, 10)


@pytest.mark.parametrize("rows, columns", [(1, 1), (1, 6), (6, 1), (2, 2)])
def test_the_smallest_grids(rows, columns):
    mask = np.zeros((40 + 20 * rows, 40 + 20 * columns), bool)
    expected = np.zeros(mask.shape, int)
    for number in range(rows * columns):
        row, column = divmod(number, columns)
        expected[20 + 20 * row : 26 + 20 * row, 20 + 20 * column : 27 + 20 * column] = number + 1
    mask = expected > 0
    np.testing.assert_array_equal(register_mask(mask, rows, columns).assignment.numbers, expected)


def test_pieces_of_a_mark_have_its_number():
    """Each mark is two halves, as the laser leaves them; a row is empty."""
    mask = np.zeros((220, 200), bool)
    for row in (0, 1, 2, 4, 5):
        for column in range(6):
            y, x = 20 + 30 * row, 20 + 28 * column
            mask[y : y + 12, x : x + 5] = mask[y : y + 12, x + 7 : x + 12] = True
    registration = register_mask(mask, 6, 6)
    numbers = registration.assignment.numbers
    assert numbers[25, 22] == numbers[25, 29] == 1
    assert numbers[175, 162] == numbers[175, 169] == 36
    assert not np.isin(numbers, range(19, 25)).any()
    assert registration.notes == ["no mark at all in row 4."]


def test_labels_are_marks_even_if_they_touch():
    labels = np.zeros((60, 60), np.uint16)
    for number in range(9):
        row, column = divmod(number, 3)
        labels[6 + 16 * row : 22 + 16 * row, 6 + 16 * column : 22 + 16 * column] = 9 - number
    numbers = register_mask(labels, 3, 3).assignment.numbers
    np.testing.assert_array_equal(numbers, np.where(labels > 0, 10 - labels.astype(int), 0))


@pytest.mark.slow
def test_more_cells_than_16_bits_can_number(tmp_path):
    mask = np.kron(np.pad(np.ones((257, 256), bool), 1), np.pad(np.ones((2, 2), bool), 1)).astype(bool)
    Image.fromarray(mask).save(tmp_path / "many.png")
    registration, files = register_file(tmp_path / "many.png", 257, 256, tmp_path / "out")
    assert "32" in registration.notes[0]
    numbers = tifffile.imread(files[0])
    assert numbers.dtype == np.uint32
    assert numbers.max() == 257 * 256
    assert numbers[5, 5] == 1


@pytest.mark.parametrize(
    "mask, match",
    [
        (np.zeros((20, 20), bool), "has no mark"),
        (~small_mask(), "inverted"),
        (np.eye(50, dtype=bool), "3 x 4|of the size"),
        (np.pad(np.ones((30, 30), bool), 35) | np.pad(np.ones((5, 4), bool), ((0, 95), (96, 0))), "only 0 regions"),
    ],
)
def test_what_is_no_mask_of_marks_is_refused(mask, match):
    with pytest.raises(InputError, match=match):
        register_mask(mask, 3, 4)


def test_no_row_is_refused():
    with pytest.raises(InputError, match="0 x 4 cells"):
        register_mask(small_mask(), 0, 4)


def test_a_line_that_nobody_counted_is_noticed():
    """A nearly empty row in a wide gap, and another one beyond the border; each has two or three marks."""
    mask = np.zeros((260, 300), bool)
    for row in range(7):
        for column in range(8):
            if row not in (3, 6) or column in (1, 4, 6):
                mask[20 + 30 * row : 30 + 30 * row, 20 + 32 * column : 30 + 32 * column] = True
    with pytest.raises(InputError):
        register_mask(mask, 6, 8)
    with pytest.raises(InputError):
        register_mask(mask[:190], 5, 8)


def test_rows_that_touch_everywhere_are_apart():
    """The first two rows are joined mark by mark, as in images whose rows are unevenly spaced."""
    mask = np.zeros((220, 240), bool)
    rows = [20, 38, 74, 112, 154]
    for y in rows:
        for column in range(6):
            mask[y : y + 10, 20 + 34 * column : 34 + 34 * column] = True
    for column in range(6):
        mask[30:38, 24 + 34 * column : 30 + 34 * column] = True
    registration = register_mask(mask, 5, 6)
    assert registration.assignment.status[:2].tolist() == [["merged"] * 6] * 2
    assert (registration.assignment.status[2:] == "found").all()
    assert registration.assignment.numbers[24, 26] == 1
    assert registration.assignment.numbers[43, 26] == 7
    with pytest.raises(InputError):
        register_mask(mask, 4, 6)
