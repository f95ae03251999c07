from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from nucseg.core.types import PatchScores
from nucseg.metrics.patches.config import PatchEvaluationConfig
from nucseg.metrics.patches.evaluator import PatchEvaluator
from nucseg.models.run import RunRecord
from nucseg.reporting.html import render_report
from nucseg.reporting.page import ModelReport
from nucseg.reporting.patches.curves import recall_figures, reliability_figures
from nucseg.reporting.patches.page import PATCHES


@pytest.fixture
def classified() -> pd.DataFrame:
    return pd.DataFrame(
        {"dataset": ["A"] * 4 + ["B"] * 2, "class": [1, 0, 1, 0, 0, 0], "probability": [0.9, 0.8, 0.7, 0.1, 0.2, 0.3]}
    )


def test_curves_say_their_prevalence(classified: pd.DataFrame) -> None:
    figures = recall_figures({"mine": classified})
    assert list(figures) == ["A (4 patches, 50.0 % of class 1)"]  # B has no patch of class 1
    (line,) = figures["A (4 patches, 50.0 % of class 1)"].axes[0].lines
    np.testing.assert_allclose(line.get_xdata(), [0.5, 0.5, 1, 1])
    np.testing.assert_allclose(line.get_ydata(), [1, 0.5, 2 / 3, 0.5])
    assert len(reliability_figures({"mine": classified})) == 2


def test_the_page(classified: pd.DataFrame, make_sample) -> None:
    evaluator = PatchEvaluator("mine", PatchEvaluationConfig(bootstrap=0))
    scores = PatchScores(
        (128, 128), np.zeros((2, 2), np.int64), np.array([0.9, 0.2], np.float32), np.array([1, 0]), 0.5
    )
    evaluator.update(make_sample(image_id="a", dataset="ami_br", case="1"), np.zeros((1, 2)), scores)
    report = ModelReport(evaluator.result(), evaluator.per_image, RunRecord(), classified=classified)
    page = render_report([report], datetime(2026, 1, 1, tzinfo=UTC), page=PATCHES)
    assert "<h1>Patches classified by mine</h1>" in page
    assert "ami_br: 1 test image, 1 patches of class 1" in page
    assert 'id="recall"' in page
    assert 'id="reliability"' in page
    assert "Prevalence" in page
    assert "nuclei" not in page.split("<body>")[1]
