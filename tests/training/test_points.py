from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.config import AugmentationConfig, Flip
from nucseg.core.errors import ConfigError, InputError
from nucseg.datasets.points import draw_points
from nucseg.images.io import write_image, write_labels
from nucseg.images.preprocessing import Preprocessor
from nucseg.images.transforms import Normalize
from nucseg.models.bundle import ModelBundle
from nucseg.training.config import PointSamplingConfig, TrainingConfig
from nucseg.training.points import (
    MinedSampling,
    PointPatches,
    classify_at,
    classify_sample,
    cut_patch,
    load_points,
    make_patches,
    mine_negatives,
    with_mined,
)

MITOSIS, OTHER = (40, 20, 90), (120, 60, 150)
SAMPLING = PointSamplingConfig(shift=0)


@pytest.fixture
def write(tmp_path, make_sample):
    """Write a pale image with coloured squares: one kind is annotated."""

    def make(name, mitoses, others=(), shape=(128, 128), points=None):
        image = np.full((*shape, 3), 235, np.uint8)
        for places, colour in ((mitoses, MITOSIS), (others, OTHER)):
            for row, column in places:
                image[row - 5 : row + 6, column - 5 : column + 6] = colour
        where = np.array(mitoses).reshape(-1, 2)
        write_image(tmp_path / f"{name}.tif", image)
        write_labels(
            tmp_path / f"{name}_points.tif",
            draw_points(shape, where[:, 0], where[:, 1]) if points is None else points,
        )
        files = tmp_path / f"{name}.tif", tmp_path / f"{name}_points.tif"
        return make_sample(*files, image_id=name, split="train", modality="histology", channels=3)

    return make


def centre(patch):
    return np.asarray(patch)[32, 32]


def test_classes_are_what_the_centre_shows(write):
    samples = [write("a", [(64, 64)], [(20, 22), (104, 30)]), write("b", [(64, 64)], [(100, 100)])]
    source = PointPatches(samples, None, 64, 100, SAMPLING)
    drawn = [source.draw(np.random.default_rng(seed)) for seed in range(60)]
    assert {truth for _, truth in drawn} == {0, 1}
    for patch, truth in drawn:
        assert patch.shape == (64, 64, 3)
        assert patch.dtype == np.float32
        is_mitosis = np.allclose(centre(patch) * 255, MITOSIS)
        assert is_mitosis == bool(truth)
    assert 15 < sum(truth for _, truth in drawn) < 45
    again, truth = source.draw(np.random.default_rng(7))
    np.testing.assert_array_equal(again, drawn[7][0])
    assert truth == drawn[7][1]


def test_borders_are_mirrored_for_both_classes_alike(write):
    """Mitoses lie in the middle of crops; only negatives would show a mirrored border without care."""
    others = [(14, 14), (14, 114), (114, 14), (114, 114)]
    source = PointPatches(
        [write("a", [(64, 64)], others)], None, 64, 100, SAMPLING.model_copy(update={"dark_share": 1})
    )
    repeated = {0: [], 1: []}
    for seed in range(80):
        patch, truth = source.draw(np.random.default_rng(seed))
        colour = (OTHER, MITOSIS)[truth]
        repeated[truth].append(np.isclose(patch * 255, colour, atol=1).all(-1).sum() > 121)  # more than one square
    assert min(map(len, repeated.values())) > 20
    shares = [np.mean(each) for each in repeated.values()]
    assert min(shares) > 0.5
    assert abs(shares[0] - shares[1]) < 0.3


def test_the_largest_shift(write):
    source = PointPatches([write("a", [(64, 64)], [(20, 20)])], None, 64, 100, PointSamplingConfig(shift=8))
    offsets = []
    for seed in range(60):
        patch, truth = source.draw(np.random.default_rng(seed))
        if truth:
            where = np.argwhere(np.isclose(patch * 255, MITOSIS, atol=1).all(-1))
            offsets.append(where[np.abs(where - 32).sum(1).argsort()[:121]].mean(0) - 32)
    assert np.abs(offsets).max() <= 9
    assert np.abs(offsets).max() > 3


def test_hard_negatives_are_seen_more_often(write):
    sample = write("a", [(64, 64)], [(20, 20), (20, 110), (110, 20), (110, 110)])
    mined = pd.DataFrame({"key": [sample.key, "other/x"], "row": [20, 1], "column": [110, 1]})
    sampling = with_mined(SAMPLING.model_copy(update={"hard_share": 1.0}), mined)
    hard = PointPatches([sample], None, 64, 100, sampling)
    expected = cut_patch(hard._cache.get(0).image, 20, 110, 64) / np.float32(255)
    negatives = [patch for patch, truth in map(hard.draw, map(np.random.default_rng, range(30))) if not truth]
    assert negatives
    for patch in negatives:
        np.testing.assert_allclose(patch, expected, atol=1e-6)


def test_what_counts_lies_inside_the_image(write):
    sample = write("a", [(64, 64)], [(34, 34), (95, 95), (10, 64)])
    loaded = load_points(sample, SAMPLING, 64)
    assert loaded.counted[:, 2].tolist() == [1, 0, 0, 0]
    assert loaded.counted[1:, :2].min() >= 32
    assert loaded.counted[1:, :2].max() <= 96
    source = PointPatches([sample], None, 64, 100, SAMPLING)
    for seed in range(10):
        patch, truth = source.anywhere(0, np.random.default_rng(seed))
        assert np.allclose(centre(patch) * 255, MITOSIS) == bool(truth)


def test_patches_are_augmented(write):
    augmenter = Augmenter.from_config(AugmentationConfig(transforms=(Flip(p=1),)))
    samples = [write("a", [(64, 64)], [(30, 30), (98, 40)])]
    plain, flipped = (PointPatches(samples, each, 64, 100, SAMPLING) for each in (None, augmenter))
    one, two = (source.draw(np.random.default_rng(3)) for source in (plain, flipped))
    assert one[1] == two[1]
    assert any(np.allclose(two[0], moved, atol=1e-6) for moved in (one[0][::-1], one[0][:, ::-1]))


def test_training_needs_both_classes(write):
    with pytest.raises(InputError, match="hold 0 annotated points and 1 of them a place away"):
        PointPatches([write("a", [], [(30, 30)])], None, 64, 100, SAMPLING)
    with pytest.raises(InputError, match="hold 1 annotated points and 0 of them"):
        PointPatches([write("b", [(32, 32)], shape=(64, 64))], None, 64, 100, SAMPLING)


def test_pixels_are_taken_as_they_are(write):
    samples, config = [write("a", [(64, 64)])], TrainingConfig(patch_size=64)
    with pytest.raises(ConfigError, match="transforms: normalize cannot be used"):
        make_patches(samples, Preprocessor((Normalize(),), 3), None, config, SAMPLING, held_out=False)
    assert len(make_patches(samples, Preprocessor((), 3), None, config, SAMPLING, held_out=True)) == 1


def test_images_of_16_bits_are_refused(write):
    sample = write("a", [(64, 64)])
    write_image(sample.image_path, np.zeros((128, 128, 3), np.uint16))
    with pytest.raises(InputError, match="is uint16; a patch classifier takes colour images of 8 bits"):
        load_points(sample, SAMPLING, 64)


class Blueness:
    """Knows a mitosis by its colour."""

    patch_size = 64
    thresholds = MappingProxyType({"probability": 0.5})

    def classify(self, patches):
        return np.isclose(patches[:, 32, 32], MITOSIS).all(-1).astype(np.float32)


def test_a_field_is_classified_at_every_dark_spot(write):
    mitoses, others = [(100, 100), (400, 300)], [(250, 80), (500, 500), (60, 400)]
    sample = write("a", mitoses, others, shape=(520, 530))
    found = classify_sample(Blueness(), sample, SAMPLING)
    spots = found.places[found.classes == -1]
    assert len(spots) >= 5
    np.testing.assert_array_equal(found.probabilities[found.classes == 1], [1, 1])
    near = np.hypot(*(found.found()[:, None] - np.array(mitoses)).transpose(2, 0, 1)).min(1)
    assert near.max() < 8


def test_more_places_than_a_batch(write):
    image = np.zeros((128, 128, 3), np.uint8)
    image[64, 64] = MITOSIS
    places = np.array([(64, 64), (0, 0)] * 70)
    np.testing.assert_array_equal(classify_at(Blueness(), image, places), [1, 0] * 70)
    assert classify_at(Blueness(), image, places[:0]).shape == (0,)


class Darkness(Blueness):
    """Takes whatever is dark in red for a mitosis."""

    def classify(self, patches):
        return 1 - patches[:, 32, 32, 0].astype(np.float32) / 255


def test_what_a_first_model_takes_for_mitoses_is_mined(write):
    samples = [write("a", [(64, 64)], [(20, 20)]), replace(write("b", [(64, 64)], [(20, 20)]), split="val")]
    bundle = ModelBundle("mitosis", Darkness(), ())
    mined = mine_negatives(bundle, samples, SAMPLING.model_copy(update={"hard_share": 0.3}))
    assert mined["key"].unique().tolist() == ["drawn/a"]
    assert abs(mined.loc[0, ["row", "column"]].astype(int) - 20).max() <= 1
    assert mined["probability"].is_monotonic_decreasing
    assert mined["probability"].min() >= 0.5
    assert mine_negatives(bundle, samples, SAMPLING).empty
    sampling = with_mined(SAMPLING, mined)
    assert MinedSampling.model_validate(sampling.model_dump(mode="json")) == sampling
