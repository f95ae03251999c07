import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex

from nucseg.core.errors import InputError
from nucseg.reporting.instances.overlay import COLOURS, boundary_segments, draw_overlay
from nucseg.reporting.pictures import rasterize

FACTS = {"dataset": "set1", "image_id": "a<b>", "modality": "fluorescence", "f1_50": 0.5}


def drawn_kinds(axes) -> dict[str, int]:
    """Count the pixel edges that are drawn in each kind's colour; the first collection is the casing."""
    lines = [found for found in axes.collections if isinstance(found, LineCollection)][1:]
    return {
        kind: len(found.get_segments())
        for (kind, colour), found in zip(COLOURS.items(), lines, strict=True)
        if to_hex(found.get_edgecolor()[0] if len(found.get_segments()) else colour).upper() == colour
    }


def squares(*corners_and_labels) -> np.ndarray:
    labels = np.zeros((40, 60), np.int32)
    for row, column, height, width, label in corners_and_labels:
        labels[row : row + height, column : column + width] = label
    return labels


def test_each_error_is_drawn_in_its_colour():
    truth = squares((0, 0, 4, 4, 1), (10, 0, 4, 4, 3), (20, 0, 4, 4, 7), (20, 4, 4, 4, 8), (30, 0, 4, 8, 9))
    predicted = squares((0, 0, 4, 4, 2), (0, 40, 4, 4, 3), (20, 0, 4, 8, 4), (30, 0, 4, 4, 5), (30, 4, 4, 4, 6))
    figure = draw_overlay(np.zeros((40, 60), np.uint8), truth, predicted, FACTS)
    left, right = figure.axes
    # correct: 1 (16 edges); missed: 3; merged: 7 and 8 (24 + the 4 between them); split: 9
    assert drawn_kinds(left) == {"correct": 16, "missed": 16, "extra": 0, "merged": 28, "split": 24}
    assert drawn_kinds(right) == {"correct": 16, "missed": 0, "extra": 16, "merged": 24, "split": 28}
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["correct", "missed: 1", "extra: 1", "merged: 1", "split: 1"]
    assert "ground truth: 5 nuclei" in left.get_title()
    assert figure.get_suptitle() == "set1 / a<b>\nfluorescence · F1 0.500 at IoU 0.50"


def test_nothing_true_and_nothing_found():
    empty = np.zeros((20, 30), np.int32)
    picture = rasterize(draw_overlay(np.zeros((20, 30, 3), np.uint16), empty, empty, FACTS | {"f1_50": None}))
    assert picture.mode == "RGB"


def test_everything_true_is_missed_where_nothing_is_found(draw_nuclei):
    image, truth = draw_nuclei((64, 64), 5, 1)
    left, right = draw_overlay(image, truth, np.zeros_like(truth), FACTS).axes
    assert {kind for kind, edges in drawn_kinds(left).items() if edges} == {"missed"}
    assert not any(drawn_kinds(right).values())


def test_shapes_that_differ_are_refused():
    with pytest.raises(InputError, match="same"):
        draw_overlay(np.zeros((8, 8)), np.ones((8, 8), np.int32), np.ones((8, 9), np.int32), FACTS)


def test_boundary_segments_are_the_edges_of_pixels():
    labels = np.array([[1, 2], [0, 0]])
    segments, kinds = boundary_segments(labels, np.array([[1, 4], [0, 0]], np.uint8))
    found = {
        tuple(map(tuple, segment.astype(int).tolist())): int(kind)
        for segment, kind in zip(segments, kinds, strict=True)
    }
    assert found == {
        ((0, 0), (1, 0)): 1,
        ((1, 0), (2, 0)): 4,
        ((0, 1), (1, 1)): 1,
        ((1, 1), (2, 1)): 4,
        ((0, 0), (0, 1)): 1,
        ((1, 0), (1, 1)): 4,  # between the two nuclei: the higher kind
        ((2, 0), (2, 1)): 4,
    }


@pytest.mark.parametrize("shape", [(10, 400), (400, 10), (1500, 700)])
def test_pictures_of_extreme_shapes_stay_of_a_size_that_a_page_can_show(shape):
    labels = np.zeros(shape, np.int32)
    width, height = rasterize(draw_overlay(np.zeros(shape, np.uint8), labels, labels, FACTS)).size
    assert 1000 <= width <= 2100
    assert 200 <= height <= 2200
