"""The page to look and correct, as a test uses it: by clicks, lines and keys at places of the image."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nucseg.core.types import Instances
from nucseg.images.source import ImageSource
from nucseg.inference.instances.stitched import StitchedLabels
from nucseg.measurements.field import Field

_PLACE = """([x, y]) => {
  const view = Bokeh.index.find_one_by_id(page.models.image.id);
  const box = view.canvas_view.el.getBoundingClientRect();
  return [box.x + view.frame.x_scale.compute(x), box.y + view.frame.y_scale.compute(y)];
}"""
_LABELS = "() => [page.nuclei.height, page.nuclei.width, Array.from(page.nuclei.labels)]"


class LookPage:
    """A page that is open in a browser.

    Args:
        browser: Playwright's.
        url: Address of the page.
    """

    def __init__(self, browser: Any, url: str) -> None:
        # As if the machine had no network: everything comes from the address itself.
        self.context = browser.new_context(viewport={"width": 1200, "height": 900}, accept_downloads=True)
        self.requested: list[str] = []
        self.errors: list[str] = []
        self.tab = self.context.new_page()
        self.tab.on("request", lambda request: self.requested.append(request.url))
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.goto(url)
        self.tab.wait_for_selector("body[data-ready]")

    def reload(self) -> None:
        self.tab.reload()
        self.tab.wait_for_selector("body[data-ready]")

    def reset(self) -> None:
        """Show the first image as it was at first."""
        self.tab.evaluate("() => { page.opened.clear(); delete page.views[0].levels; show(page.views[0]); }")

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return where on the screen a point of the image lies."""
        left, top = self.tab.evaluate(_PLACE, [x, y])
        return left, top

    def wait(self, milliseconds: int) -> None:
        """Wait by the page's own clock: its timers fire in turn, however late on a busy machine."""
        self.tab.evaluate("(delay) => new Promise((done) => setTimeout(done, delay))", milliseconds)

    def click(self, x: float, y: float, *, shift: bool = False) -> None:
        if shift:
            self.tab.keyboard.down("Shift")
        # Bokeh takes a second click within 300 ms for a double one.
        self.wait(350)
        self.tab.mouse.click(*self.place(x, y))
        if shift:
            self.tab.keyboard.up("Shift")
        self.wait(350)

    def line(self, *points: tuple[float, float]) -> None:
        self.wait(350)  # as before a click
        self.tab.mouse.move(*self.place(*points[0]))
        self.tab.mouse.down()
        for point in points[1:]:
            self.tab.mouse.move(*self.place(*point), steps=8)
        self.tab.mouse.up()
        self.wait(350)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)

    def slide(self, selector: str, value: float) -> None:
        self.tab.locator(selector).fill(str(value))

    def said(self) -> str:
        return str(self.tab.inner_text("#status"))

    def count(self) -> str:
        return str(self.tab.inner_text("#count"))

    def labels(self) -> NDArray[np.int32]:
        height, width, labels = self.tab.evaluate(_LABELS)
        return np.array(labels, np.int32).reshape(height, width)

    def pixel(self, x: int, y: int) -> tuple[int, ...]:
        """Return red, green and blue of a pixel as it is shown."""
        (number,) = self.tab.evaluate("([x, y]) => [page.models.pixels.data.image[0][y * page.view.width + x]]", [x, y])
        return tuple(number >> shift & 255 for shift in (0, 8, 16))

    def download(self, selector: str, folder: Path) -> Path:
        with self.tab.expect_download() as waiting:
            self.tab.click(selector)
        path = folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path


def field_of(labels: Any, image: Any = None, scores: Any = None, **more: Any) -> Field:
    """Return a field of nuclei in an image in memory."""
    count = int(labels.max())
    found = Instances(labels, np.linspace(0.5, 0.9, count, dtype=np.float32) if scores is None else scores)
    pixels = np.where(labels > 0, 1000, 100).astype(np.uint16) if image is None else image
    size = more.pop("pixel_size", None)
    source = ImageSource("a.tif", pixels.shape, pixels.dtype, lambda window: pixels[window.slices], size)
    return Field(StitchedLabels.of(found), source, "a", **more)


def squares() -> Any:
    """Draw a row of four squares of 10 pixels: 1 and 2 touch, 3 lies 4 pixels from 2, and 4 far from them."""
    labels = np.zeros((40, 80), np.int32)
    for number, left in enumerate((5, 15, 29, 60), start=1):
        labels[15:25, left : left + 10] = number
    return labels
