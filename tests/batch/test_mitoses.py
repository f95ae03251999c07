import csv
import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from fake_classifier import DarkPatches, draw_slide
from fake_segmenter import FakeSegmenter
from nucseg.batch.mitoses import find_mitoses_of_slides
from nucseg.core.types import Instances
from nucseg.images.find import find_images
from nucseg.inference.engine import LocalEngine
from nucseg.inference.mitoses.predictor import SlidePredictor
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision
from nucseg.reporting.options import MitosesOptions

NUCLEI = [(30.0, 40.0), (100.0, 200.0), (170.0, 20.0), (60.0, 120.0)]
MITOSES = [(14.0, 150.0), (150.0, 90.0)]
FIELDS = ("csv", "geojson", "json", "png")


def dark_parts(image):
    labels = ndimage.label(image.mean(-1) < 0.7)[0]
    return Instances(labels.astype(np.int32), np.full(labels.max(), 0.9, np.float32))


@pytest.fixture
def classifier():
    return DarkPatches()


@pytest.fixture
def run(tmp_path, classifier):
    """Find mitoses as `nucseg mitoses` does, into `tmp_path / "out"`."""
    for name in ("model", "classifier"):
        (tmp_path / name).mkdir()
    segmenter = FakeSegmenter(dark_parts, in_channels=3, stride=8, halo=32, max_side=1536)

    def run(*slides, output="out", **options):
        given = MitosesOptions(scale=1.0, precision="float32", **options)
        return find_mitoses_of_slides(
            find_images([str(slide) for slide in slides]).images,
            tmp_path / output,
            SlidePredictor(ModelBundle("fake", segmenter, ()), given, 0.25),
            LocalEngine(),
            classifier,
            given,
            model=tmp_path / "model",
            classifier_folder=tmp_path / "classifier",
        )

    yield run
    use_precision("float32")


@pytest.fixture
def slide(tmp_path):
    image, _ = draw_slide((200, 240), NUCLEI, MITOSES)
    path = tmp_path / "slide.tif"
    tifffile.imwrite(path, image, photometric="rgb", resolution=(40_000, 40_000), resolutionunit="CENTIMETER")
    return path


def summary(folder):
    with (folder / "mitoses.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_planted_mitoses_come_back_in_every_file(run, slide, tmp_path) -> None:
    (outcome,) = run(slide, tile=64)
    assert outcome.error is None
    assert outcome.nuclei == 6
    assert [file.name for file in outcome.files] == [f"slide.mitoses.{suffix}" for suffix in FIELDS]
    table = pd.read_csv(tmp_path / "out/slide.mitoses.csv").sort_values("centroid-0")
    assert table["image"].tolist() == ["slide", "slide"]
    np.testing.assert_allclose(table[["centroid-0", "centroid-1"]], MITOSES, atol=1)
    points = [
        each["geometry"]["coordinates"]
        for each in json.loads((tmp_path / "out/slide.mitoses.geojson").read_text())["features"]
    ]
    np.testing.assert_allclose(sorted(points), [(90.5, 150.5), (150.5, 14.5)], atol=1)
    counts = json.loads((tmp_path / "out/slide.mitoses.json").read_text())
    assert (counts["nuclei"], counts["mitoses"], counts["densest_2mm2"]) == (6, 2, None)
    assert counts["remark"].startswith("6 nuclei were classified; a mitosis that was not found as a nucleus is not ")
    assert "smaller than 2 mm²" in counts["remark"]
    assert Image.open(tmp_path / "out/slide.mitoses.png").size == (240, 200)
    (row,) = summary(tmp_path / "out")
    assert {name: row[name] for name in ("image", "status", "nuclei", "mitoses", "area_mm2", "densest_2mm2")} == {
        "image": "slide",
        "status": "done",
        "nuclei": "6",
        "mitoses": "2",
        "area_mm2": "0.003",
        "densest_2mm2": "",
    }


def test_tiles_change_nothing(run, slide, tmp_path) -> None:
    run(slide, output="whole")
    run(slide, output="tiles", tile=64)
    whole, tiles = (pd.read_csv(tmp_path / name / "slide.mitoses.csv") for name in ("whole", "tiles"))
    columns = ["centroid-0", "centroid-1", "area", "probability"]
    pd.testing.assert_frame_equal(
        *(each[columns].sort_values("centroid-0", ignore_index=True) for each in (whole, tiles))
    )


def test_results_are_kept_resumed_and_replaced(run, slide, tmp_path, classifier) -> None:
    run(slide)
    (again,) = run(slide)
    assert again.has_results
    assert "slide.mitoses.csv exists; choose another folder, --resume or --overwrite" in again.error
    seen = len(classifier.seen)
    (resumed,) = run(slide, resume=True)
    assert (resumed.skipped, resumed.nuclei, resumed.figures["mitoses"]) == (True, 6, 2)
    assert len(classifier.seen) == seen
    # Another threshold, or another classifier, gives other results.
    (other,) = run(slide, resume=True, threshold=0.01)
    assert (other.skipped, other.figures["mitoses"]) == (False, 6)
    (tmp_path / "classifier/weights").write_bytes(b"other")
    (changed,) = run(slide, resume=True, threshold=0.01)
    assert not changed.skipped
    assert [row["mitoses"] for row in summary(tmp_path / "out")] == ["6"]


def test_what_is_no_slide_fails_in_one_line_and_the_others_go_on(run, slide, tmp_path) -> None:
    grey = tifffile.imread(slide).mean(-1).astype(np.uint8)
    in_micrometres = {"resolution": (40_000, 40_000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "grey.tif", grey, photometric="minisblack", **in_micrometres)
    tifffile.imwrite(tmp_path / "equal.tif", np.dstack([grey] * 3), photometric="rgb", **in_micrometres)
    tifffile.imwrite(tmp_path / "unknown.tif", tifffile.imread(slide), photometric="rgb")
    said = {
        "grey": "is a grey image",
        "equal": "its colours are those of a grey image",
        "unknown": "its pixel size is unknown",
    }
    outcomes = run(*(tmp_path / f"{name}.tif" for name in said), slide)
    for outcome, (name, expected) in zip(outcomes, said.items(), strict=False):
        assert f"{name}.tif: {expected}" in outcome.error
        assert "\n" not in outcome.error
    assert outcomes[-1].figures["mitoses"] == 2
    assert [row["status"] for row in summary(tmp_path / "out")] == ["failed"] * 3 + ["done"]
    (given,) = run(tmp_path / "unknown.tif", pixel_size=0.25)
    assert given.figures["mitoses"] == 2


def test_the_densest_field_and_its_picture(run, tmp_path) -> None:
    image, _ = draw_slide((1700, 1700), NUCLEI, [(100.0, 100.0), (100.0, 400.0), (1600.0, 1690.0)], 6)
    Image.fromarray(image).save(tmp_path / "slide.png")
    (outcome,) = run(tmp_path / "slide.png", pixel_size=1)
    assert outcome.notes == (
        "1 µm per pixel is coarser than the 0.25 µm that the classifier was trained at: expect more errors.",
    )
    figures = outcome.figures
    assert (figures["mitoses"], figures["densest_2mm2"], figures["area_mm2"]) == (3, 2, 2.89)
    assert figures["mitoses_per_mm2"] == pytest.approx(3 / 2.89, rel=1e-3)
    picture = np.asarray(Image.open(tmp_path / "out/slide.mitoses.png"))
    assert max(picture.shape) < 1700
    rings = ndimage.label((picture == (0, 255, 255)).all(-1))[1]
    assert rings == 2
