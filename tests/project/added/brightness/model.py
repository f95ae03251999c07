"""The network, one pixel wide, and its connected components."""

import keras
import numpy as np
from nucseg.models.brightness.config import BrightnessConfig
from scipy.ndimage import label

from fake_segmenter import WholeNuclei
from nucseg.core.types import Instances
from nucseg.models.files import read_files, write_files


class Brightness(WholeNuclei):
    """See `nucseg.models.protocols.InstanceSegmenter`."""

    def __init__(self, config: BrightnessConfig) -> None:
        self.config = config
        self.thresholds = {"score": 0.5}
        pixel = keras.layers.Conv2D(1, 1, activation="sigmoid")
        self.keras_model = keras.Sequential([keras.Input((None, None, config.in_channels)), pixel])
        pixel.set_weights([np.full((1, 1, 1, 1), config.contrast), np.array([-config.contrast / 2])])

    def targets(self, image, truth):
        return image, ((truth > 0).astype(np.float32)[..., None],)

    def compile(self, optimizer):
        self.keras_model.compile(optimizer, loss="binary_crossentropy")

    def find(self, image):
        labels, n_found = label(np.asarray(self.keras_model(image[None]))[0, ..., 0] > 0.5)
        return Instances(labels.astype(np.int32), np.full(n_found, 0.9, np.float32))

    def tune(self, images, truths):
        return self.thresholds

    def save(self, folder):
        write_files(folder, self.config.model_dump(), self.thresholds, self.keras_model)

    @classmethod
    def load(cls, folder):
        return read_files(folder, "brightness", BrightnessConfig, cls, lambda model: model.keras_model)
