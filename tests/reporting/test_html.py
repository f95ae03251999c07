from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from nucseg.core.errors import InputError
from nucseg.metrics.instances.sizes import size_rows
from nucseg.models.run import RunParameters, RunRecord
from nucseg.reporting.html import Differences, ModelReport, render_report
from nucseg.reporting.selection import Choice

VOID = {"meta", "link", "img", "input", "br"}
NOW = datetime(2025, 3, 4, 5, 6, tzinfo=UTC)


class Page(HTMLParser):
    """Reads a page strictly: every tag is closed in its order; collects what tests ask about."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"{tag} has an attribute twice"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def values(self, attribute: str) -> list[str]:
        return [attrs[attribute] or "" for _, attrs in self.tags if attribute in attrs]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def report(metrics: dict[str, Any], **changes: Any) -> ModelReport:
    per_image = pd.DataFrame(
        {
            "image_id": ["a", "b"],
            "dataset": ["set1", "set2"],
            "modality": "fluorescence",
            "test_class": [None, "GNB-I"],
            "n_true": [1200, 1300],
            "n_pred": [10, 10],
            "f1_50": [0.987, None],
            "n_missed": [7, 0],
        }
    )
    picture = Image.fromarray(np.full((20, 40, 3), 200, np.uint8))
    run = RunRecord(
        seed=42,
        parameters=RunParameters(model={"b": 1}),
        history=[{"loss": 2.0, "val_loss": 2.0}, {"loss": 1.0, "val_loss": 1.5}],
    )
    model = ModelReport(
        metrics=metrics,
        per_image=per_image,
        run=run,
        choices=[Choice("set1/a", "best"), Choice("set2/b", "worst")],
        pictures={"set1/a": picture, "set2/b": picture},
        sizes=size_rows("set1", [5.0, 6.0], [5.0]),
    )
    return replace(model, **changes)


def test_page_is_well_formed_and_holds_everything_itself(metrics):
    page = Page(render_report([report(m) for m in metrics], NOW))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    for link in page.values("href"):
        assert link == "data:," or link.removeprefix("#") in ids, link
    assert all(
        source.startswith(("data:image/webp;base64,", "data:image/svg+xml;base64,")) for source in page.values("src")
    )
    assert len(page.values("src")) == 4 + 3 + 1 + 2  # pictures, AP (all and two datasets), sizes, training
    assert "script" not in {tag for tag, _ in page.tags}
    assert all("alt" in attrs for tag, attrs in page.tags if tag == "img")
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_models_side_by_side_where_they_differ_most(metrics):
    picture = Image.fromarray(np.full((20, 40, 3), 90, np.uint8))
    compared = Differences(
        [Choice("set1/a", "differs by 0.31")], {"set1/a": {"stardist": picture, "mask_rcnn": picture}}
    )
    models = [report(m) for m in metrics]
    page = Page(render_report(models, NOW, compared))
    assert "Where the models differ most" in page.words
    assert "differs by 0.31" in page.words
    assert len(page.values("src")) == len(Page(render_report(models, NOW)).values("src")) + 2
    assert "Where the models differ most" not in Page(render_report(models, NOW)).words


def test_page_loads_nothing(metrics):
    text = render_report([report(m) for m in metrics], NOW)
    assert "http:" not in text
    assert "https:" not in text
    assert "@import" not in text
    assert "url(" not in text


def test_page_says_what_when_and_which_data(metrics):
    words = Page(render_report([report(m) for m in metrics], NOW)).words
    assert "Nuclei found by stardist and mask_rcnn" in words
    assert "2025-03-04 05:06 UTC" in words
    assert "set1: 1 test image, 1,200 nuclei" in words
    assert "demonstration" not in words


def test_scores_definitions_and_lineage_are_there(metrics):
    words = Page(render_report([report(m) for m in metrics], NOW)).words
    assert "What f1_50 is." in words
    assert "0.625 0.250" in words  # the two models side by side
    assert "All test images are of one modality: fluorescence." in words
    assert "F1 0.987" in words
    assert "F1 -" in words  # undefined
    assert "missed 7" in words
    assert "fluorescence, GNB-I" in words
    assert "seed 42" in words


def test_the_best_of_two_models_is_marked_and_the_only_one_is_not(metrics):
    assert 'class="number best"' in render_report([report(m) for m in metrics], NOW)
    assert 'class="number best"' not in render_report([report(metrics[0])], NOW)


def test_demo_has_its_banner(metrics):
    demo = metrics[0] | {"by": {"dataset": {"demo": metrics[0]["overall"]}}}
    words = Page(render_report([report(demo)], NOW)).words
    assert "A demonstration, not a result." in words


def test_leaking_weights_have_a_banner(metrics):
    model = metrics[0] | {"by": {"dataset": {"bbbc038": metrics[0]["overall"]}}}
    leaking = report(model, run=RunRecord(parameters=RunParameters(model={"pretrained": "2D_versatile_fluo"})))
    assert "Leaked test images." in Page(render_report([leaking], NOW)).words


def test_names_are_escaped(metrics):
    evil = "<script>alert('x')</script>&amp;\""
    model = metrics[0] | {"model": evil}
    model["metrics"] = [row | {"definition": evil} for row in model["metrics"]]
    model["by"] = {"dataset": {evil: metrics[0]["overall"], "set1": metrics[0]["overall"]}}
    page = Page(
        render_report([report(model, run=RunRecord(device=evil, parameters=RunParameters(model={"y": evil})))], NOW)
    )
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.words.count(evil) > 5


def test_page_without_what_was_not_computed(metrics):
    bare = {"model": "m", "overall": {"n_images": 0, "n_true": 0, "n_pred": 0}, "by": {}, "metrics": []}
    empty = pd.DataFrame(columns=["image_id", "dataset"])
    page = Page(render_report([ModelReport(bare, empty, RunRecord())], NOW))
    assert page.values("src") == []
    assert "No image was chosen." in page.words
    assert "Nothing is recorded." in page.words


def test_no_model_is_refused():
    with pytest.raises(InputError, match="no model has been evaluated"):
        render_report([], NOW)


@pytest.mark.parametrize("key", ["set1/missing", "set2/b"])
def test_image_without_row_or_picture_is_refused(metrics, key):
    with pytest.raises(InputError, match=key):
        render_report([report(metrics[0], choices=[Choice(key, "named")], pictures={})], NOW)
