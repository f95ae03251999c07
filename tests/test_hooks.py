from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest

from nucseg.core.errors import InputError
from nucseg.hooks import ReadableErrors, ScoreTable

SCORES = {"n_true": 24782, "n_pred": 24782, "f1_50": 0.5, "ap_50": 0.5, "ap_mean_50_90": 0.25, "map": 0.5}


class Catalog:
    def load(self, name: str) -> dict[str, Any]:
        return {"model": name.split(".", maxsplit=1)[0], "overall": SCORES, "by": {}}

    def __getitem__(self, name: str) -> Any:
        return SimpleNamespace(_describe=lambda: {"filepath": Path("/a" + 30 * "/long") / "report.html"})


def test_scores_and_path_are_printed_unbroken(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    pipeline: Any = SimpleNamespace(
        all_outputs=lambda: {"report"}, all_inputs=lambda: {"mask_rcnn.metrics", "stardist.metrics"}
    )
    ScoreTable().after_pipeline_run(pipeline, Catalog())  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    assert "Report: /a" + 30 * "/long" + "/report.html" in lines
    row = ["stardist", "all", "24,782", "24,782", "0.500", "0.500", "0.250", "0.500"]
    assert row in [line.split() for line in lines]


def test_a_run_without_a_report_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    pipeline: Any = SimpleNamespace(all_outputs=lambda: {"samples"})
    ScoreTable().after_pipeline_run(pipeline, Catalog())  # type: ignore[arg-type]
    assert capsys.readouterr().out == ""


def test_our_own_error_is_found_in_the_chain() -> None:
    outer = RuntimeError("node failed")
    outer.__cause__ = InputError("a.tif: is no image.")
    with pytest.raises(click.ClickException, match=r"^a\.tif: is no image\.$"):
        ReadableErrors().on_pipeline_error(outer)
    ReadableErrors().on_pipeline_error(RuntimeError("a defect"))
