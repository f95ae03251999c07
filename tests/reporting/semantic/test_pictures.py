import numpy as np
import pandas as pd

from nucseg.core.types import VOID
from nucseg.reporting.semantic.charts import confusion_figures, reliability_figure
from nucseg.reporting.semantic.colours import palette
from nucseg.reporting.semantic.pictures import COLOURS, draw_classes


def test_the_colours_are_those_of_voc():
    """As its development kit lists them."""
    colours = palette()
    assert colours[[0, 1, 2, 15, 20]].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [192, 128, 128], [0, 64, 128]]
    assert colours[VOID].tolist() == [224, 224, 192]


def test_a_picture_shows_errors():
    image = np.random.default_rng(0).integers(0, 255, (256, 300), np.uint8)
    truth, predicted = np.zeros((2, 256, 300), np.uint8)
    truth[10:60, 10:60], predicted[30:60, 10:60], predicted[100:120, 100:120] = 1, 1, 1
    truth[200:] = VOID
    predicted[200:] = 1
    picture = np.asarray(draw_classes(image, truth, predicted))
    assert picture.shape == (256, 4 * 300 + 3 * 6, 3)
    errors = picture[:, -300:]
    for kind, pixels in (("missed", 20 * 50), ("false", 20 * 20)):
        colour = [int(COLOURS[kind][place : place + 2], 16) for place in (1, 3, 5)]
        assert (errors == colour).all(-1).sum() == pixels


def test_a_small_image_is_enlarged():
    one = np.zeros((1, 1), np.uint8)
    assert draw_classes(one, one, one).height == 256


def test_charts():
    rows = [(true, predicted, 10) for true in "abc" for predicted in "abc"]
    table = pd.DataFrame(rows, columns=["true", "predicted", "pixels"])
    figure = confusion_figures({"m": table})["m"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.333"] * 9
    line = reliability_figure({"m": pd.DataFrame({"probability": [0.4, 0.9], "right": [0.5, 1.0]})}).axes[0].lines[1]
    assert line.get_ydata().tolist() == [0.5, 1.0]
