"""A part of an image is predicted: what is read, and which nuclei come out."""

import json
from dataclasses import replace

import numpy as np
import pytest
from distributed import Client
from scipy import ndimage

from fake_segmenter import FakeSegmenter
from nucseg.core.types import Instances
from nucseg.images.open import open_image
from nucseg.images.source import array_source
from nucseg.images.transforms import Normalize
from nucseg.inference import cluster
from nucseg.inference.cluster import DaskEngine
from nucseg.inference.engine import LocalEngine
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.inference.tiled import predict_tiled
from nucseg.models.bundle import ModelBundle
from slides import halved, write_slide

pytestmark = pytest.mark.usefixtures("every_pyramid_is_a_slide")


def dark_parts(image):
    labels = ndimage.label(image[..., 0] < 0.4)[0].astype(np.int32)
    return Instances(labels, np.full(labels.max(), 0.9, np.float32))


def predict(source, **options):
    model = FakeSegmenter(dark_parts, stride=8, halo=24, max_side=1536)
    predictor = Predictor(ModelBundle("fake", model, (Normalize(pmin=0, pmax=100),)))
    job = predictor.job(source, PredictOptions(precision="float32", **options))
    return job, predict_tiled(job, LocalEngine())


@pytest.fixture
def slide(draw_nuclei):
    """Return a slide of 1,600 x 2,400 pixels with tissue in two places, which pixels were read, and the truth."""
    image, truth = np.full((1600, 2400, 3), 240, np.uint8), np.zeros((1600, 2400), np.int32)
    for number, (top, left) in enumerate(((200, 300), (1100, 1700))):
        part, labels = draw_nuclei(
            (400, 500), 30, seed=number, noise=0, gap=8, radius=(9.0, 14.0), modality="histology"
        )
        image[top : top + 400, left : left + 500] = part
        truth[top : top + 400, left : left + 500] = np.where(labels, labels + 30 * number, 0)
    read = np.zeros(image.shape[:2], bool)

    def opened(pixels, watched):
        def taken(window):
            if watched:
                read[window.slices] = True
            return pixels[window.slices]

        return replace(array_source(pixels, "slide"), read=taken)

    first, *levels = (opened(pixels, number == 0) for number, pixels in enumerate(halved(image, 3)))
    return replace(first, levels=tuple(levels), pixel_size=(0.5, 0.5)), read, truth


def test_tiles_without_tissue_are_not_read_and_no_nucleus_is_lost(slide):
    source, read, truth = slide
    job, found = predict(source, tile=128)
    assert len(job.empty) > 0.7 * len(job.grid)
    around = ndimage.binary_dilation(truth > 0, iterations=2 * 24 + 128 + 512, structure=np.ones((3, 3)))
    assert not read[~around].any()
    assert read.mean() < 0.5
    assert len(found) == truth.max() == 60
    labels = found.instances().labels
    assert np.count_nonzero((labels > 0) & (truth > 0)) > 0.9 * np.count_nonzero((labels > 0) | (truth > 0))
    assert any("of it is tissue" in note for note in job.source.notes)


def test_nuclei_whose_middle_is_in_the_region_come_out_whatever_the_tiles(slide, tmp_path):
    source, _, truth = slide
    ring = [[420, 250], [700, 300], [650, 560], [400, 500], [420, 250]]
    (tmp_path / "region.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    results = [
        predict(source, tile=tile, region=tmp_path / "region.geojson", tissue=tissue)[1].instances()
        for tile, tissue in ((64, "auto"), (512, "none"), (None, "none"))
    ]
    boxes = np.array([[(side.start, side.stop) for side in box] for box in ndimage.find_objects(truth)])
    middles = boxes.mean(2)
    edges = np.array(ring, float)
    sides = np.diff(edges, axis=0)
    inside = np.logical_and.reduce(
        [
            sides[i, 0] * (middles[:, 0] - edges[i, 1]) - sides[i, 1] * (middles[:, 1] - edges[i, 0]) > 0
            for i in range(4)
        ]
    )
    expected = np.isin(truth, 1 + np.flatnonzero(inside))
    assert 5 < inside.sum() < 30
    for result in results:
        assert len(result) == inside.sum()
        assert np.count_nonzero((result.labels > 0) != expected) < 0.1 * np.count_nonzero(expected)
        np.testing.assert_array_equal(result.labels > 0, results[0].labels > 0)


def test_the_scale_is_estimated_in_the_tissue_where_the_pixel_size_is_unknown(slide):
    source, read, truth = slide
    job, found = predict(replace(source, pixel_size=None), tile=128)
    assert job.scale == 1
    assert len(found) == truth.max()
    assert read.mean() < 0.6


def test_a_cluster_finds_the_same_nuclei_in_the_tissue_of_a_level(tmp_path, monkeypatch, draw_nuclei):
    image = np.full((640, 960, 3), 240, np.uint8)
    image[128:448, 64:464] = draw_nuclei(
        (320, 400), 25, seed=3, noise=0, gap=8, radius=(9.0, 14.0), modality="histology"
    )[0]
    source = open_image(write_slide(tmp_path, image, 0.25))
    model = FakeSegmenter(dark_parts, stride=8, halo=24, max_side=1536)
    predictor = Predictor(ModelBundle("fake", model, (Normalize(pmin=0, pmax=100),)))
    job = predictor.job(source, PredictOptions(precision="float32", tile=64))
    assert job.level == 1
    assert job.empty
    here = predict_tiled(job, LocalEngine())
    monkeypatch.setattr(cluster, "_predictor", lambda *_: predictor)
    with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None) as client:
        there = predict_tiled(job, DaskEngine(client, tmp_path, predictor))
    assert len(here) == 25
    np.testing.assert_array_equal(there.instances().labels, here.instances().labels)
