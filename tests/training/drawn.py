"""A small segmenter and drawn samples for tests of training; as a script, trainings that can be killed.

`python drawn.py KIND OPTIONS`: for each line `FOLDER KILL` that it reads, trains a model of `MODELS` with the JSON
options in the folder and prints the status; the training dies by SIGKILL when the feed asks for the KILLth item, from
0; -1 for never.
"""

import json
import os
import signal
import sys
import traceback
from dataclasses import replace
from itertools import count
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.append(str(Path(__file__).parents[1]))

import keras
import numpy as np
from scipy.ndimage import gaussian_filter, label
from skimage.draw import disk

from fake_segmenter import WholeNuclei
from nucseg.augment.augmenter import Augmenter
from nucseg.augment.config import AugmentationConfig
from nucseg.core.types import Instances, Sample
from nucseg.images.io import write_image, write_labels
from nucseg.images.transforms import Normalize
from nucseg.tasks import instances
from nucseg.training.config import SamplingConfig, TrainingConfig
from nucseg.training.train import train


class ForegroundNet(WholeNuclei):
    """Predicts foreground; has dropout, so that its random state counts too."""

    stride = 2
    halo = 8
    max_side = 1024

    def __init__(self, in_channels=1, kill_at=None):
        self.in_channels = in_channels
        self.thresholds = {"score": 0.5}
        self._calls = count()
        self._kill_at = kill_at
        self.keras_model = keras.Sequential(
            [
                keras.Input((None, None, in_channels)),
                keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
                keras.layers.Dropout(0.2),
                keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid"),
            ]
        )

    def targets(self, image, truth):
        if next(self._calls) == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return image, ((truth > 0).astype(np.float32)[..., None],)

    def compile(self, optimizer):
        self.keras_model.compile(optimizer, loss="binary_crossentropy")

    def find(self, image):
        foreground = self.keras_model.predict(image[None], verbose=0)[0, ..., 0] > 0.5
        labels, n_found = label(foreground)
        return Instances(labels.astype(np.int32), np.full(n_found, 0.5, np.float32))

    def tune(self, images, truths):
        assert len(images) == len(truths)
        self.tuned_on = [truth.shape for truth in truths]
        return {"score": 0.4}


def draw_samples(folder, shapes=((40, 40), (64, 48), (48, 48), (90, 40))):
    """Write drawn images, two of three for training; repeatable."""
    rng = np.random.default_rng(0)
    samples = []
    for number, shape in enumerate(shapes):
        labels = np.zeros(shape, np.int32)
        for nucleus in range(1, 5):
            labels[disk(rng.uniform(6, np.array(shape) - 6), rng.uniform(3, 6), shape=shape)] = nucleus
        rgb = number == 1
        light = gaussian_filter((labels > 0) * 150.0, 1) + 30 + rng.normal(0, 5, shape)
        image = light.clip(0, 255).astype(np.uint8)
        paths = folder / f"{number}.tif", folder / f"{number}_labels.tif"
        write_image(paths[0], np.stack([image, image // 2, image], -1) if rgb else image)
        write_labels(paths[1], labels)
        samples.append(
            Sample(
                image_id=str(number),
                dataset="drawn",
                split="val" if number == 2 else "train",
                modality="histology" if rgb else "fluorescence",
                magnification=None,
                test_class=None,
                height=shape[0],
                width=shape[1],
                channels=3 if rgb else 1,
                n_nuclei=int(labels.max()),
                median_diameter_px=9.0,
                image_path=paths[0],
                label_path=paths[1],
            )
        )
    return samples


SMALL = TrainingConfig(
    patch_size=32, batch_size=2, steps_per_epoch=6, epochs=5, learning_rate=0.01, warmup_steps=3, validation_patches=3
)


def small_stardist(kill_at=None):
    """Create a real StarDist with its foreground head."""
    from nucseg.models.stardist.config import StarDistConfig
    from nucseg.models.stardist.model import StarDist

    class Killed(StarDist):
        calls = count()

        def targets(self, image, truth):
            if next(self.calls) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().targets(image, truth)

    return Killed(StarDistConfig(in_channels=1, n_rays=8, unet_n_depth=1, unet_n_filter_base=4, net_conv_after_unet=8))


def small_mask_rcnn(kill_at=None):
    """Create a real Mask R-CNN, whose second stage draws proposals at random."""
    from nucseg.models.mask_rcnn.config import MaskRCNNConfig
    from nucseg.models.mask_rcnn.model import MaskRCNNSegmenter

    class Killed(MaskRCNNSegmenter):
        calls = count()

        def targets(self, image, truth):
            if next(self.calls) == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().targets(image, truth)

    light = {"filters": (8, 8), "blocks": (1, 1), "strides": (2, 4), "anchor_sizes": ((8.0, 13.0),)}
    heads = {"pyramid_channels": 8, "box_units": 8, "mask_convolutions": 1, "mask_channels": 8, "max_nuclei": 8}
    drawn = {"training_before_nms": 32, "training_proposals": 16, "positive_rois": 2, "negative_rois": 2}
    return Killed(MaskRCNNConfig(in_channels=1, **light, **heads, **drawn))


MODELS = {
    "stardist": small_stardist,
    "mask_rcnn": small_mask_rcnn,
    "foreground": lambda kill_at: ForegroundNet(kill_at=kill_at),
}


def run_training(samples, folder, *, kill_at=None, kind="foreground", parameters=None, **options):
    config = SMALL.model_copy(update=options)
    keras.utils.set_random_seed(config.seed)
    return train(
        samples,
        MODELS[kind](kill_at),
        task=instances.training(),
        transforms=(Normalize(),),
        augmenter=Augmenter.from_config(AugmentationConfig()),
        sampling=SamplingConfig(),
        config=config,
        folder=folder,
        name="foreground",
        parameters=parameters or {"filters": 4},
    )


def with_split(samples, split):
    return [replace(sample, split=split) for sample in samples]


def train_in_a_fork(folder, kill_at, **options):
    """Train in a process that has computed nothing before, as those of users, but has everything imported."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    try:
        folder.mkdir(exist_ok=True)
        run_training(draw_samples(folder), folder / "run", kill_at=kill_at, **options)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    for line in sys.stdin:
        place, kill = line.split()
        status = train_in_a_fork(Path(place), int(kill), kind=sys.argv[1], **json.loads(sys.argv[2]))
        os.write(1, f"{status}\n".encode())
