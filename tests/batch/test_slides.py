"""`nucseg predict` of slides: tissue, resuming, broken tiles."""

import csv
import resource
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from scipy import ndimage

from fake_segmenter import FakeSegmenter, WholeNuclei
from large_slide import BLOCK, TILE, write_large_slide
from nucseg.batch import predict as batch_predict
from nucseg.batch import refine as batch_refine
from nucseg.batch.predict import predict_images
from nucseg.batch.refine import refine_results
from nucseg.batch.result import ImageResult
from nucseg.cli import cli
from nucseg.core.types import Instances
from nucseg.images.find import find_images
from nucseg.images.transforms import Normalize
from nucseg.inference import predictor as predictor_module
from nucseg.inference.engine import LocalEngine
from nucseg.inference.predictor import Predictor
from nucseg.models import registry
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision
from nucseg.models.run import RunRecord
from nucseg.reporting.options import BatchOptions
from slides import break_tile, write_slide


def dark_parts(image):
    labels = ndimage.label(image[..., 0] < 0.4)[0].astype(np.int32)
    return Instances(labels, np.full(labels.max(), 0.9, np.float32))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Predict slides as `nucseg predict` does, into `tmp_path / "out"`; every pyramid is a slide."""
    monkeypatch.setattr("nucseg.images.source.SLIDE_PIXELS", 0)
    monkeypatch.setattr("nucseg.images.tiff.WHOLE_BYTES", 0)
    (tmp_path / "model").mkdir()

    def run(*slides, **options):
        segmenter = FakeSegmenter(dark_parts, stride=8, halo=24, max_side=1536)
        given = BatchOptions(precision="float32", **options)
        outcomes = predict_images(
            find_images([str(slide) for slide in slides]).images,
            tmp_path / "out",
            Predictor(ModelBundle("fake", segmenter, (Normalize(pmin=0, pmax=100),)), given),
            LocalEngine(),
            given,
            model=tmp_path / "model",
        )
        return outcomes, segmenter

    yield run
    use_precision("float32")


@pytest.fixture
def slide(tmp_path, draw_nuclei):
    image, truth = np.full((640, 960, 3), 240, np.uint8), np.zeros((640, 960), np.int32)
    image[128:448, 64:464], truth[128:448, 64:464] = draw_nuclei(
        (320, 400), 25, seed=3, noise=0, gap=8, radius=(9.0, 14.0), modality="histology"
    )
    jpeg = {"compression": "jpeg", "compressionargs": {"level": 98}}
    return write_slide(tmp_path, image, 0.25, **jpeg), truth


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "summary.csv").open(newline="") as file:
        return {row["image"]: row for row in csv.DictReader(file)}


def test_the_tissue_of_a_slide_in_pixels_of_level_0(run, slide, tmp_path):
    path, truth = slide
    (outcome,), segmenter = run(path, tile=64, formats=("labels", "overlay"))
    assert outcome.is_whole
    assert outcome.nuclei == truth.max()
    with tifffile.TiffFile(outcome.files[0]) as file:
        assert file.pages[0].shape == truth.shape
        assert file.pages[0].get_resolution("MICROMETER") == pytest.approx((4, 4))
        labels = file.asarray()
    assert np.count_nonzero((labels > 0) & (truth > 0)) > 0.85 * np.count_nonzero((labels > 0) | (truth > 0))
    assert any("of it is tissue" in note for note in outcome.notes)
    assert any("read at 0.5 µm per pixel (level 1 of 0 to 2)" in note for note in outcome.notes)
    seen = len(segmenter.seen)
    assert seen < 0.7 * (320 // 64 + 1) * (480 // 64 + 1)


def test_a_killed_run_goes_on_with_the_tiles_of_the_tissue(run, slide, monkeypatch):
    path, truth = slide
    saved = []
    monkeypatch.setattr("nucseg.batch.record.ImageRecord.keep", lambda *_: saved.append(1) or 1 / 0)
    run(path, tile=64)
    assert saved
    monkeypatch.undo()
    monkeypatch.setattr("nucseg.images.source.SLIDE_PIXELS", 0)
    (outcome,), segmenter = run(path, tile=64, resume=True)
    assert outcome.nuclei == truth.max()
    assert not segmenter.seen


def test_a_slide_with_a_broken_tile_is_named_and_the_rest_is_written(run, slide, tmp_path):
    path, truth = slide
    break_tile(path, 1, (70, 40))  # rows and columns of 0.5 µm: 128 to 255 and 0 to 127 of level 0
    (tmp_path / "b").mkdir()
    whole = write_slide(tmp_path / "b", np.full((640, 960, 3), 240, np.uint8), 0.25)
    (broken, empty), _ = run(path, whole, formats=("labels", "table"))
    assert broken.error is None
    assert not broken.is_whole
    assert broken.incomplete.startswith(f"{path}: a tile is broken")
    assert "rows 64 to 127, columns 0 to 63 of level 1" in broken.incomplete
    labels = tifffile.imread(broken.files[0])
    assert not labels[130:254, :126].any()
    elsewhere = truth.copy()
    elsewhere[100:280, :150] = 0
    assert broken.nuclei >= len(np.unique(elsewhere)) - 1
    assert "no tissue is found" in empty.error
    row = rows(tmp_path / "out")[broken.name]
    assert (row["status"], row["error"]) == ("incomplete", broken.incomplete)
    assert (tmp_path / "out/table.csv").read_text().count("\n") == broken.nuclei + 1
    (again, _), segmenter = run(path, whole, formats=("labels", "table"), resume=True)
    assert (again.skipped, again.incomplete) == (True, broken.incomplete)
    assert not segmenter.seen
    (more, _), segmenter = run(path, whole, formats=("labels", "table", "rle"), resume=True)
    assert (more.skipped, more.incomplete) == (False, broken.incomplete)
    assert not segmenter.seen
    (refined,) = refine_results(tmp_path / "out", {"min_area": "10px"})
    assert refined.incomplete == broken.incomplete
    assert rows(tmp_path / "out")[broken.name]["status"] == "incomplete"


@pytest.mark.parametrize("command", ["predict", "refine"])
def test_the_exit_status_of_an_incomplete_slide_is_1(tmp_path, monkeypatch, command):
    (tmp_path / "a.png").write_bytes(b"")
    outcome = ImageResult("a.svs", "a", 5, incomplete="a.svs: a tile is broken.")

    def outcomes(*_, progress, **__):
        progress(outcome)
        return [outcome]

    monkeypatch.setattr(batch_predict, "predict_images", outcomes)
    monkeypatch.setattr(batch_refine, "refine_results", outcomes)
    (tmp_path / "stardist").mkdir()
    monkeypatch.setattr(registry, "resolve_model", lambda name: tmp_path / name)
    loaded = SimpleNamespace(bundle=SimpleNamespace(run=RunRecord()))
    monkeypatch.setattr(predictor_module.Predictor, "load", lambda *_: loaded)
    given = {"predict": [str(tmp_path / "a.png"), "-o", str(tmp_path / "out")], "refine": [str(tmp_path)]}
    answer = CliRunner().invoke(cli, [command, *given[command]])
    assert answer.exit_code == 1
    assert "Incomplete: a.svs: a tile is broken." in answer.output
    assert "a: 5 nuclei" in answer.output


class Dark(WholeNuclei):
    """Takes connected dark pixels for a nucleus; counts the pixels that it is shown."""

    stride, halo, max_side = 8, 64, 1536

    def __init__(self) -> None:
        self.thresholds = {"score": 0.5}
        self.pixels = 0

    def find(self, image):
        self.pixels += image.size
        return dark_parts(image)


@pytest.mark.slow
def test_a_slide_of_50000_pixels_a_side_takes_the_memory_of_a_tile_and_the_work_of_its_tissue(tmp_path, draw_nuclei):
    texture, _ = draw_nuclei((TILE, TILE), 20, seed=1, noise=0, gap=10, radius=(9.0, 14.0), modality="histology")
    (tmp_path / "model").mkdir()
    options = BatchOptions(precision="float32", formats=("geojson",), tile=512)
    shown = []
    for blocks in ([(9, 9)], [(3, 10), (3, 11), (9, 5)]):
        write_large_slide(tmp_path / "slide.svs", 50_000, blocks, texture)
        model = Dark()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        (outcome,) = predict_images(
            find_images([str(tmp_path / "slide.svs")]).images,
            tmp_path / str(len(blocks)),
            Predictor(ModelBundle("fake", model, (Normalize(pmin=1, pmax=99.8),)), options),
            LocalEngine(),
            options,
            model=tmp_path / "model",
        )
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert outcome.is_whole
        assert outcome.nuclei == 20 * len(blocks) * (BLOCK // TILE) ** 2
        assert grown < 700e3  # kilobytes; the level that is read has 1.8 million
        shown.append(model.pixels / len(blocks) / (BLOCK // 2) ** 2)
    assert max(shown) < 4  # times the pixels of the tissue, for tiles that hold some of it, and their halos
