import numpy as np
import pytest

from fake_classifier import DarkPatches, draw_slide
from mosaics import mosaic_of
from nucseg.core.types import Instances
from nucseg.images.source import array_source
from nucseg.inference.mitoses.find import find_mitoses

NUCLEI = [(30.0, 40.0), (100.0, 200.0), (170.0, 20.0), (60.0, 120.0)]
MITOSES = [(4.0, 150.0), (150.0, 90.0)]


def found_on(nuclei, mitoses, pixel_size=0.25, *, shape=(200, 240), radius=10.0, **more):
    image, labels = draw_slide(shape, nuclei, mitoses, radius)
    scores = np.linspace(0.9, 0.5, labels.max(), dtype=np.float32)
    source = array_source(image, "slide", (pixel_size, pixel_size))
    return find_mitoses(mosaic_of(Instances(labels, scores)), source, DarkPatches(), **more)


def test_planted_mitoses_come_back_with_their_places() -> None:
    found = found_on(NUCLEI, MITOSES)
    assert (len(found), found.nuclei, found.threshold) == (2, 6, 0.6)
    assert found.table["probability"].is_monotonic_decreasing
    table = found.table.sort_values("label")
    assert table["label"].tolist() == [5, 6]
    np.testing.assert_allclose(table[["centroid-0", "centroid-1"]].to_numpy()[1], MITOSES[1], atol=0.01)
    np.testing.assert_allclose(table[["centroid-0_um", "centroid-1_um"]].to_numpy()[1], [37.625, 22.625], atol=0.01)
    np.testing.assert_allclose(table["area_um2"], table["area"] / 16)
    np.testing.assert_allclose(table["score"], [0.58, 0.5])
    assert found.area_mm2 == pytest.approx(200 * 240 / 16e6)
    assert found.per_mm2 == pytest.approx(2 / found.area_mm2)
    assert found.densest is None  # of an image below 2 mm²


def test_a_slide_of_another_pixel_size_gives_the_same() -> None:
    half = [(row / 2, column / 2) for row, column in NUCLEI]
    dark = [(row / 2, column / 2) for row, column in MITOSES]
    found = found_on(half, dark, 0.5, shape=(100, 120), radius=5.0)
    assert sorted(found.table["label"]) == [5, 6]


def test_of_close_ones_the_most_probable_stays() -> None:
    # 6 µm apart each: the middle one has two neighbours, the outer ones are 12 µm apart.
    row = [(50.0, 60.0), (50.0, 84.0), (50.0, 108.0)]
    found = found_on([], row, radius=8.0)
    best = found_on([], row, radius=8.0, threshold=0.0)
    assert found.nuclei == 3
    assert len(found) in (1, 2)
    points = found.points_um
    distances = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    assert (distances[~np.eye(len(points), dtype=bool)] > 7.5).all()
    assert found.table["probability"].iloc[0] == best.table["probability"].max()


def test_the_threshold_and_the_densest_field() -> None:
    assert len(found_on(NUCLEI, MITOSES, threshold=1.0)) == 0
    assert len(found_on(NUCLEI, MITOSES, threshold=0.01)) == 6
    nothing = found_on([], [])
    assert (len(nothing), nothing.nuclei, nothing.points_um.shape) == (0, 0, (0, 2))
    # Pixels of 1 µm make a slide of 4 mm²: three mitoses within 1.6 mm, one far away.
    places = [(100.0, 100.0), (100.0, 700.0), (500.0, 400.0), (1950.0, 1950.0)]
    found = found_on([(900.0, 900.0)], places, 1.0, shape=(2000, 2000), radius=4.0)
    assert found.densest is not None
    assert (len(found), found.densest.count) == (4, 3)
    assert found.densest.radius == pytest.approx(np.sqrt(2e6 / np.pi))


def test_progress_counts_nuclei_and_may_end_it() -> None:
    counts: list[int] = []
    found_on(NUCLEI, MITOSES, progress=counts.append)
    assert counts[-1] == 6

    def stop(_classified: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found_on(NUCLEI, MITOSES, progress=stop)
