import keras
import numpy as np
import pytest

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.config import AugmentationConfig
from nucseg.images.transforms import Normalize
from nucseg.models.bundle import ModelBundle
from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.model import StarDist
from nucseg.tasks import instances
from nucseg.training.config import SamplingConfig, TrainingConfig
from nucseg.training.train import train, tune_thresholds
from whole_images import predict_whole


@pytest.mark.slow
@pytest.mark.parametrize("in_channels", [1, 3])
def test_stardist_trains_is_tuned_and_stored(samples, tmp_path, in_channels):
    architecture = StarDistConfig(
        in_channels=in_channels, n_rays=8, unet_n_depth=1, unet_n_filter_base=4, net_conv_after_unet=8
    )
    config = TrainingConfig(
        patch_size=32, batch_size=2, steps_per_epoch=20, epochs=2, learning_rate=0.005, validation_patches=2
    )
    keras.utils.set_random_seed(config.seed)
    trained = train(
        samples,
        StarDist(architecture),
        task=instances.training(),
        transforms=(Normalize(),),
        augmenter=Augmenter.from_config(AugmentationConfig()),
        sampling=SamplingConfig(),
        config=config,
        folder=tmp_path / "run",
        name="stardist",
        parameters=architecture.model_dump(mode="json"),
    )
    first, last = (entry["val_loss"] for entry in trained.run.history)
    assert last < first
    bundle = tune_thresholds(trained, samples, instances.training())
    bundle.save(tmp_path / "model")
    again = ModelBundle.load(tmp_path / "model")
    assert again.run == bundle.run
    image = np.zeros((32, 32, in_channels), np.float32)
    image[10:20, 10:20] = 1
    one, two = (predict_whole(each.model, [image], score_threshold=0.05)[0] for each in (bundle, again))
    np.testing.assert_array_equal(one.labels, two.labels)
