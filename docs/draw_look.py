"""Draw the picture of the page to look and correct, with Chromium: `PYTHONPATH=tests python docs/draw_look.py`.

The largest nucleus is split, and another one stays selected.
"""

import shutil
import tempfile
from pathlib import Path

from click.testing import CliRunner
from playwright.sync_api import sync_playwright

from look_page import LookPage
from nucseg.cli import cli

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Write `docs/images/look.png`."""
    with tempfile.TemporaryDirectory() as folder:
        for command in (["predict", str(ROOT / "samples/histology.tif"), "-o", folder], ["look", folder]):
            CliRunner().invoke(cli, command, catch_exceptions=False)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
            page = LookPage(browser, (Path(folder) / "look.html").as_uri())
            areas = "() => page.shown.slice().sort((a, b) => b.area - a.area).map((each) => each.ring)"
            rings = page.tab.evaluate(areas)
            middles = [(sum(ring[::2]) / len(ring) * 2, sum(ring[1::2]) / len(ring) * 2) for ring in rings]
            x, y = middles[0]
            page.click(x, y)
            page.press("s")
            page.line((x, y - 40), (x, y + 40))
            page.click(*middles[5])
            page.tab.mouse.move(5, 5)
            page.tab.wait_for_timeout(500)
            page.tab.screenshot(path=str(ROOT / "docs/images/look.png"))
            browser.close()


if __name__ == "__main__":
    main()
