import subprocess
import sys

import pytest
from pydantic import ValidationError

from nucseg.models.stardist.config import StarDistConfig


@pytest.mark.parametrize(
    "field,value",
    [("in_channels", 2), ("grid", 3), ("n_rays", 4), ("unet_n_depth", 0), ("train_dist_loss", "huber"), ("rays", 32)],
)
def test_bad_values_are_refused(field, value):
    with pytest.raises(ValidationError, match=field):
        StarDistConfig(**{field: value})


def test_a_network_beyond_all_memory_is_refused():
    assert StarDistConfig(unet_n_depth=6, unet_n_filter_base=32).unet_n_filter_base == 32
    with pytest.raises(ValidationError, match="is 16384 filters; at most 2048 are allowed"):
        StarDistConfig(unet_n_depth=6, unet_n_filter_base=256)


def test_only_a_pretrained_model_can_be_used_as_it_is():
    with pytest.raises(ValidationError, match=r"fine_tune\n.*false requires a pretrained model"):
        StarDistConfig(fine_tune=False)
    assert not StarDistConfig(pretrained="models/mine", fine_tune=False).fine_tune


def test_the_architecture_is_all_but_the_first_weights():
    architecture = StarDistConfig(pretrained="2D_versatile_fluo", fine_tune=False).architecture()
    assert {"pretrained", "fine_tune"}.isdisjoint(architecture)
    assert StarDistConfig(**architecture) == StarDistConfig()


def test_configuring_does_not_import_tensorflow():
    code = "import sys, nucseg.models.stardist.config, nucseg.models.registry; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
