"""The page that defines the metrics by an example."""

import re
import runpy
from pathlib import Path

from nucseg.metrics.instances.definitions import METRICS
from nucseg.metrics.instances.matching import THRESHOLDS
from nucseg.metrics.instances.scores import ap_key


def test_every_key_stands_there_with_the_value_that_the_code_computes(root: Path) -> None:
    _, _, scores = runpy.run_path(str(root / "docs/draw_metrics.py"))["example"]()
    text = (root / "docs/metrics.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(\w+)`.*\| (\d\.\d{3})[^|]*\|$", text, re.MULTILINE))

    assert {key: f"{scores[key]:.3f}" for key in rows} == rows
    between = {ap_key(threshold) for threshold in THRESHOLDS[1:]}
    assert {row.key for row in METRICS} - between == {*rows, "n_images", "n_true", "n_pred"}
    assert all(f"`{key}`" in text for key in ("n_images", "n_true", "n_pred", "ap_55", "ap_95"))


def test_the_example_is_what_the_page_says(root: Path) -> None:
    truth, prediction, scores = runpy.run_path(str(root / "docs/draw_metrics.py"))["example"]()

    assert truth.max() == prediction.max() == scores["n_true"] == scores["n_pred"] == 6
    # Of six and six nuclei two pairs match: 2 / (2 + 4 + 4) and 4 / 12, by hand.
    assert (scores["ap_50"], scores["f1_50"]) == (2 / 10, 4 / 12)
    assert scores["ap_95"] == 1 / 11
