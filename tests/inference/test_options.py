"""The options of predicting: what is allowed, and what is said of what is not."""

import numpy as np
import pytest

from nucseg.core.errors import ConfigError
from nucseg.core.validation import checked
from nucseg.inference.options import PredictOptions


@pytest.mark.parametrize("scale", [0, -1, 0.04, 21, float("nan"), float("inf"), "big", None])
def test_a_scale_that_is_no_factor_is_refused(scale):
    with pytest.raises(ConfigError, match=rf"^scale: {scale!r} is not allowed; it must be 'auto' or must be [^\n]*\.$"):
        checked(PredictOptions, {"scale": scale})


def test_every_wrong_option_has_a_line():
    with pytest.raises(ConfigError) as caught:
        checked(PredictOptions, {"tile": 1, "score_threshold": 2, "precision": "auto"})
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["score_threshold", "tile"]


@pytest.mark.parametrize("channel", ["DAPI", "0", 0, None])
def test_a_channel_stays_the_name_or_the_number_that_it_is(channel):
    found = PredictOptions(channel=channel).channel
    assert (type(found), found) == (type(channel), channel)


def test_a_number_of_numpy_is_a_number():
    assert type(PredictOptions(channel=np.int64(2)).channel) is int


def test_changed_options_are_checked_like_the_others():
    options = PredictOptions(scale=2, channel="DAPI")
    assert options.changed(tile=96) == PredictOptions(scale=2, channel="DAPI", tile=96)
    with pytest.raises(ValueError, match="tile"):
        options.changed(tile=3)
