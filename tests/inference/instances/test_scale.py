import numpy as np
import pytest
from scipy.ndimage import label
from skimage.draw import disk

from nucseg.core.types import Instances
from nucseg.images.geometry import resize_image, scaled_shape
from nucseg.inference.instances.scale import estimate_scale
from nucseg.models.sizes import TrainedSizes

UNKNOWN, KNOWN = TrainedSizes(), TrainedSizes((8.0, 120.0))


class Nearsighted:
    """Finds bright discs up to 70 pixels wide, or more; of larger ones nothing, or pieces of `pieces` pixels."""

    def __init__(self, windows, pieces=0, trained=UNKNOWN):
        self.windows = windows
        self.pieces = pieces
        self.trained = trained
        self.looked = []

    def scale(self):
        side = min(min(window.shape) for window in self.windows)
        return estimate_scale(self.find, side, self.find, self.trained)

    def find(self, scale):
        self.looked.append(scale)
        return [self._find(resize_image(image, scaled_shape(image.shape, scale))) for image in self.windows]

    def _find(self, image):
        labels, n_found = label(image > 0.5)
        diameters = 2 * np.sqrt(np.bincount(labels.ravel(), minlength=n_found + 1)[1:] / np.pi)
        known = self.trained.diameters
        small = diameters <= (known[1] if known and not self.pieces else 70)
        if self.pieces:
            rows, columns = np.indices(labels.shape)
            large = np.concatenate([[False], ~small])[labels]
            # A part of each large disc, in pieces as large as can be believed.
            period = self.pieces + 30
            piece = large & (rows % period < self.pieces) & (columns % period < self.pieces)
            labels = np.where(piece, n_found + 1 + rows // period * 1000 + columns // period, labels * ~large)
            labels = np.unique(labels, return_inverse=True)[1].reshape(labels.shape)
            return Instances(labels.astype(np.int32), np.full(labels.max(), 0.6, np.float32))
        numbers = np.concatenate([[0], np.where(small, np.cumsum(small), 0)])
        return Instances(numbers[labels].astype(np.int32), np.full(small.sum(), 0.9, np.float32))


def discs(diameter, side=512, spacing=1.6):
    image = np.zeros((side, side), np.float32)
    for row in np.arange(diameter, side - diameter / 2, spacing * diameter):
        for column in np.arange(diameter, side - diameter / 2, spacing * diameter):
            image[disk((row, column), diameter / 2, shape=image.shape)] = 1
    return image


@pytest.mark.parametrize(
    "diameter, scale", [(6, 3), (9, 2.25), (12, 1), (20, 1), (56, 1), (68, 0.5), (100, 0.5), (150, 0.25), (400, 0.125)]
)
def test_the_largest_scale_that_makes_them_small_enough(diameter, scale):
    assert Nearsighted([discs(diameter, 1024)]).scale() == scale


@pytest.mark.parametrize("diameter, scale", [(9, 2.75), (16, 1.5), (19, 1.25), (21, 1), (100, 0.5)])
def test_a_training_says_what_is_small(diameter, scale):
    assert Nearsighted([discs(diameter, 1024)], trained=TrainedSizes(enlarge=(20.0, 24.0))).scale() == scale


def test_small_nuclei_that_are_lost_when_enlarged_stay_as_they_are():
    class Lost(Nearsighted):
        def find(self, scale):
            found = super().find(scale)
            return found if scale <= 1 else [Instances.none(each.labels.shape) for each in found]

    assert Lost([discs(6)]).scale() == 1


def test_debris_beside_nuclei_that_are_too_large_does_not_decide():
    image = discs(150, 1024)
    image[4:12, 4:12] = 1
    assert Nearsighted([image]).scale() == 0.25


@pytest.mark.parametrize("diameter, again, scale", [(15, False, 1), (15, True, 0.5), (35, False, 0.25)])
def test_what_only_a_small_scale_shows_does_not_decide_if_it_should_be_seen_closer(diameter, again, scale):
    """Small nuclei at full size; at a quarter of it five times their area, of objects of a given diameter."""
    small, shape = discs(16, spacing=6), (512, 512)

    def find(at):
        image = resize_image(small, scaled_shape(shape, at))
        if at == 0.25 or (at == 0.5 and again):
            image = discs(diameter * at / 0.25, int(512 * at), spacing=2)
        labels, count = label(image > 0.5)
        return [Instances(labels.astype(np.int32), np.full(count, 0.9, np.float32))]

    assert estimate_scale(find, 512, find, UNKNOWN) == scale


def test_windows_count_together():
    assert Nearsighted([discs(80), discs(80), np.zeros((512, 512), np.float32)]).scale() == 0.5
    assert Nearsighted([discs(80, spacing=4), discs(20)]).scale() == 1


def of_two_sizes(large, small):
    """Draw nuclei of one size on the left and of another on the right."""
    return np.hstack([discs(large, 768), discs(small, 768)])


@pytest.mark.parametrize("large, small, scale", [(90, 12, 1), (110, 34, 0.5), (90, 90, 0.5)])
def test_an_image_of_two_sizes_is_left_as_it_is_if_the_model_knows_both(large, small, scale):
    assert Nearsighted([of_two_sizes(large, small)], trained=KNOWN).scale() == scale


def test_pieces_beside_small_nuclei_are_not_taken_for_large_ones():
    image = np.hstack([discs(160, 1024, spacing=1.2), np.tile(discs(12, 128), (8, 1))])
    assert Nearsighted([image], pieces=90, trained=KNOWN).scale() < 1


@pytest.mark.parametrize("trained, scale", [(None, 0.5), ((8.0, 120.0), 1), ((8.0, 160.0), 0.5)])
def test_what_is_larger_than_any_nucleus_of_the_training_does_not_decide(trained, scale, caplog):
    caplog.set_level("INFO", "nucseg")
    spot = np.zeros((300, 300), np.int32)
    spot[disk((150, 150), 137)] = 1

    def find(at):
        """Return what a model finds in light that falls off towards the corners: a spot, seen from far enough."""
        labels = spot[::2, ::2] if at == 0.5 else np.zeros(scaled_shape(spot.shape, at), np.int32)
        return [Instances(labels, np.full(labels.max(), 0.9, np.float32))]

    assert estimate_scale(find, 300, find, TrainedSizes(trained)) == scale
    assert ("use --scale 0.25" in caplog.text) == (scale == 1)


def test_nothing_found_leaves_the_image_as_it_is():
    assert Nearsighted([np.zeros((256, 256), np.float32)]).scale() == 1


def test_pieces_of_large_nuclei_are_outdone_by_whole_ones():
    assert Nearsighted([discs(160, 1024, spacing=1.2)], pieces=30).scale() < 1


@pytest.mark.parametrize("shape", [(1, 1), (20, 300), (63, 63), (31, 5000)])
def test_a_small_image_is_never_made_tiny(shape):
    model = Nearsighted([np.ones(shape, np.float32)])
    assert model.scale() == 1
    assert model.looked == [1]


def test_each_scale_is_looked_at_once_and_one_half_only_where_needed():
    small, large = Nearsighted([discs(20)]), Nearsighted([discs(80)])
    assert (small.scale(), sorted(small.looked)) == (1, [0.25, 1])
    assert (large.scale(), sorted(large.looked)) == (0.5, [0.25, 0.5, 1])


@pytest.mark.parametrize(
    "diameter, pieces, looked",
    [
        (20, 0, {"windows": [0.25], "crops": [1]}),
        (12, 0, {"windows": [0.25, 1], "crops": [1]}),  # nearly small enough to be enlarged
        (56, 0, {"windows": [0.25, 1], "crops": [1]}),  # nearly too large
        (100, 0, {"windows": [0.25, 1, 0.5], "crops": [1]}),
        (200, 20, {"windows": [0.25, 1, 0.5], "crops": [1]}),  # what is found in the middle covers too little
    ],
)
def test_the_middle_of_large_windows_decides_only_what_is_clear(diameter, pieces, looked):
    image = discs(diameter, 1024)
    windows, crops = Nearsighted([image], pieces), Nearsighted([image[256:768, 256:768]], pieces)
    scale = estimate_scale(windows.find, 1024, crops.find, UNKNOWN, crops_first=True)
    assert {"windows": windows.looked, "crops": crops.looked} == looked
    assert scale == Nearsighted([image], pieces).scale()
