from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import imageio.v3 as imageio
import numpy as np
import pytest
from skimage.segmentation import clear_border

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.config import AugmentationConfig, Rotate90
from nucseg.core.errors import InputError
from nucseg.images.io import read_image, read_labels, write_labels
from nucseg.images.preprocessing import Preprocessor
from nucseg.images.transforms import Normalize, Rescale
from nucseg.masks.labels import median_diameter
from nucseg.training import patches
from nucseg.training.config import SamplingConfig
from nucseg.training.patches import PatchSource, sampling_probabilities

NORMALIZED = Preprocessor((Normalize(),), 1)


def rng(number=0):
    return np.random.default_rng(number)


@pytest.mark.parametrize("transforms", [(Normalize(),), (Normalize(axis="channel", pmax=99.0),), ()])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_without_augmentation_a_patch_is_a_crop_of_what_the_predictor_sees(samples, transforms, in_channels):
    preprocessor = Preprocessor(transforms, in_channels)
    source = PatchSource(samples, preprocessor, None, 32, 100)
    for index, sample in enumerate(samples):
        image = read_image(sample.image_path)
        whole = preprocessor.fit(image).image(image)
        crops = np.lib.stride_tricks.sliding_window_view(whole, (32, 32, in_channels))[:, :, 0]
        for number in range(4):
            patch, labels = source.patch(index, rng(number), 0.5)
            assert patch.shape == (32, 32, in_channels)
            found = np.argwhere((crops == patch).all((2, 3, 4)))
            assert len(found) == 1
            row, column = found[0]
            truth = read_labels(sample.label_path)[row : row + 32, column : column + 32]
            np.testing.assert_array_equal(labels > 0, truth > 0)


def test_patches_larger_than_the_image_are_mirrored(samples):
    source = PatchSource(samples, NORMALIZED, None, 64, 100)
    patch, labels = source.patch(0, rng(), 1.0)
    assert patch.shape == (64, 64, 1)
    image = read_image(samples[0].image_path)
    np.testing.assert_array_equal(patch[..., 0], np.pad(NORMALIZED.fit(image).image(image)[..., 0], 12, mode="reflect"))
    assert labels.max() >= read_labels(samples[0].label_path).max()


def test_rescaled_patches_have_the_models_size(samples):
    for factor in (0.5, 0.7, 1.6):
        source = PatchSource(samples, Preprocessor((Rescale(factor=factor), Normalize()), 1), None, 32, 100)
        patch, labels = source.patch(3, rng(), 1.0)
        assert patch.shape == (32, 32, 1)
        assert labels.shape == (32, 32)


@pytest.fixture(scope="module")
def equal(samples, draw_nuclei, tmp_path_factory):
    """A sample whose nuclei are all 15 to 17 pixels wide."""
    folder = tmp_path_factory.mktemp("equal")
    image, labels = draw_nuclei((200, 240), 40, seed=1, radius=(7.5, 8.5), gap=1)
    imageio.imwrite(folder / "image.png", image)
    write_labels(folder / "labels.tif", labels)
    return replace(
        samples[0],
        image_path=folder / "image.png",
        label_path=folder / "labels.tif",
        median_diameter_px=median_diameter(labels),
    )


@pytest.mark.parametrize("wanted", [8.0, 30.0, 44.0])
@pytest.mark.parametrize("augmented", [False, True])
def test_nuclei_are_brought_to_a_diameter(equal, wanted, augmented):
    augmenter = Augmenter.from_config(AugmentationConfig(transforms=(Rotate90(p=1.0),))) if augmented else None
    source = PatchSource([equal], NORMALIZED, augmenter, 320, 100, SamplingConfig(diameters=(wanted, wanted)))
    for number in range(3):
        patch, labels = source.patch(0, rng(number), 1.0)
        assert patch.shape == (320, 320, 1)
        assert median_diameter(clear_border(labels)) == pytest.approx(wanted, rel=0.12)
        # Image and labels went together.
        assert np.median(patch[labels > 0]) - np.median(patch[labels == 0]) > 0.3


def test_diameters_of_a_range_are_all_drawn(equal):
    source = PatchSource([equal], NORMALIZED, None, 160, 100, SamplingConfig(diameters=(8.0, 40.0)))
    found = [median_diameter(clear_border(source.patch(0, rng(number), 1.0)[1])) for number in range(40)]
    assert min(found) < 11
    assert max(found) > 32
    assert 10 <= np.count_nonzero(np.array(found) < np.sqrt(8 * 40)) <= 30


def test_a_share_keeps_its_size(equal):
    sampling = SamplingConfig(diameters=(40.0, 40.0), resized_share=0.5)
    source = PatchSource([equal], NORMALIZED, None, 160, 100, sampling)
    found = np.array([median_diameter(source.patch(0, rng(number), 1.0)[1]) for number in range(40)])
    kept = np.abs(found - equal.median_diameter_px) < np.abs(found - 40)
    assert 10 <= np.count_nonzero(kept) <= 30


@pytest.mark.parametrize("enlarge, factor", [((20.0, 24.0), 1.5), ((15.0, 24.0), 1.0), (None, 1.0)])
def test_small_nuclei_are_enlarged_as_in_prediction(equal, enlarge, factor):
    sampling = SamplingConfig(diameters=(60.0, 60.0), resized_share=0.0, enlarge=enlarge)
    _, labels = PatchSource([equal], NORMALIZED, None, 320, 100, sampling).patch(0, rng(), 1.0)
    assert median_diameter(clear_border(labels)) == pytest.approx(factor * equal.median_diameter_px, rel=0.05)


def test_no_more_is_enlarged_than_four_times(equal):
    source = PatchSource([equal], NORMALIZED, None, 320, 100, SamplingConfig(diameters=(500.0, 500.0)))
    _, labels = source.patch(0, rng(), 1.0)
    assert median_diameter(clear_border(labels)) == pytest.approx(4 * equal.median_diameter_px, rel=0.1)


def test_same_generator_same_patch_also_with_threads(samples):
    augmenter = Augmenter.from_config(AugmentationConfig())
    source = PatchSource(samples, NORMALIZED, augmenter, 32, 100)
    expected = [source.patch(number % 4, rng(number), 0.5) for number in range(24)]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda number: source.patch(number % 4, rng(number), 0.5), range(24)))
    for (image, labels), (other_image, other_labels) in zip(expected, got, strict=True):
        np.testing.assert_array_equal(image, other_image)
        np.testing.assert_array_equal(labels, other_labels)


def test_foreground_patches_hold_nuclei(samples, tmp_path):
    labels = np.zeros((400, 400), np.int32)
    labels[350:360, 30:40] = 1
    sample = replace(samples[0], image_path=tmp_path / "i.tif", label_path=tmp_path / "l.tif")
    write_labels(sample.label_path, labels)
    write_labels(sample.image_path, labels + 1)
    source = PatchSource([sample], NORMALIZED, None, 32, 100)
    share = [np.mean([source.patch(0, rng(n), p)[1].any() for n in range(60)]) for p in (0.0, 1.0)]
    assert share[0] < 0.2
    assert share[1] > 0.9


def test_cache_reads_each_image_once_and_stays_within_its_bound(samples, monkeypatch):
    reads = []
    monkeypatch.setattr(patches, "read_image", lambda path: reads.append(path) or read_image(path))
    source = PatchSource(samples, NORMALIZED, None, 32, 100)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(source.load, [0, 1, 2, 3] * 8))
    assert len(reads) == 4

    one_at_a_time = PatchSource(samples, NORMALIZED, None, 32, 0)
    for index in (0, 1, 0):
        one_at_a_time.load(index)
    assert len(reads) == 7
    assert not one_at_a_time._cache


def test_broken_samples_are_named(samples, tmp_path):
    missing = replace(samples[0], image_path=tmp_path / "nowhere.tif")
    with pytest.raises(InputError, match="nowhere"):
        PatchSource([missing], NORMALIZED, None, 32, 1).load(0)
    swapped = replace(samples[0], label_path=samples[1].label_path)
    with pytest.raises(InputError, match="drawn/0"):
        PatchSource([swapped], NORMALIZED, None, 32, 1).load(0)


def test_background_patches_are_normalised_by_themselves_and_have_no_nuclei(samples):
    source = PatchSource(samples, Preprocessor((Normalize(),), 3), None, 96, 100)
    patches_made = [source.background(number % len(samples), rng(number)) for number in range(20)]
    for image, labels in patches_made:
        assert image.shape == (96, 96, 3)
        assert image.dtype == np.float32
        assert np.percentile(image, 1) == pytest.approx(0, abs=0.1)
        assert labels.shape == (96, 96)
        assert not labels.any()
    assert len({image.tobytes() for image, _ in patches_made}) == 20


def test_some_patches_are_background(samples):
    sampling = SamplingConfig(background_probability=0.3, foreground_probability=1.0)
    source = PatchSource(samples, NORMALIZED, None, 32, 100, sampling)
    empty = [not source.draw(rng(number))[1].any() for number in range(200)]
    assert 0.2 < np.mean(empty) < 0.4


def test_what_is_left_of_a_nucleus_counts_from_so_many_pixels(samples, tmp_path):
    labels = np.zeros((32, 32), np.int32)
    labels[2:4, 2:4], labels[10:20, 10:20] = 7, 3
    sample = replace(samples[0], image_path=tmp_path / "i.tif", label_path=tmp_path / "l.tif")
    write_labels(sample.label_path, labels)
    write_labels(sample.image_path, labels + 1)
    for least, expected in ((1, [0, 1, 2]), (4, [0, 1, 2]), (5, [0, 1])):
        sampling = SamplingConfig(min_nucleus_pixels=least)
        _, found = PatchSource([sample], NORMALIZED, None, 32, 100, sampling).draw(rng())
        assert np.unique(found).tolist() == expected


def test_probabilities(samples):
    config = SamplingConfig()
    np.testing.assert_allclose(sampling_probabilities(samples, config), 0.25)
    balanced = config.model_copy(update={"balance": "modality"})
    np.testing.assert_allclose(sampling_probabilities(samples, balanced), [1 / 6, 1 / 2, 1 / 6, 1 / 6])
    weighted = balanced.model_copy(update={"modality_weights": {"histology": 0.5, "brightfield": 9.0}})
    np.testing.assert_allclose(sampling_probabilities(samples, weighted), [2 / 9, 1 / 3, 2 / 9, 2 / 9])
    # The first one, like the third and the fourth of one modality, has four times the area of each of the others.
    larger = [replace(sample, height=16 if number else 64, width=16) for number, sample in enumerate(samples)]
    by_area = config.model_copy(update={"area_exponent": 0.5})
    np.testing.assert_allclose(sampling_probabilities(larger, by_area), [0.4, 0.2, 0.2, 0.2])
    by_both = balanced.model_copy(update={"area_exponent": 1.0})
    np.testing.assert_allclose(sampling_probabilities(larger, by_both), [1 / 3, 1 / 2, 1 / 12, 1 / 12])
