import base64
import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from nucseg.reporting.embed import FOREGROUND, picture_uri, svg_uri


def chart() -> Figure:
    figure = Figure()
    figure.subplots().plot([0, 1], color=FOREGROUND)
    return figure


def test_charts_follow_the_theme_and_load_nothing():
    kind, _, data = svg_uri(chart()).partition(",")
    text = base64.b64decode(data).decode()
    assert kind == "data:image/svg+xml;base64"
    assert "stroke: currentColor" in text
    assert "prefers-color-scheme:dark" in text
    assert text.count(FOREGROUND) == 1  # the light theme's own
    assert "url(http" not in text
    assert "<image" not in text


def test_the_same_chart_gives_the_same_bytes():
    assert svg_uri(chart()) == svg_uri(chart())


def test_picture_survives():
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, 30:] = (213, 94, 0)
    kind, _, data = picture_uri(Image.fromarray(pixels)).partition(",")
    again = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)
    assert kind == "data:image/webp;base64"
    assert again.shape == pixels.shape
    assert np.abs(again[:, [0, 59]] - pixels[:, [0, 59]]).max() < 12
