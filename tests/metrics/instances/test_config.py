import pytest
from pydantic import ValidationError

from nucseg.metrics.instances.config import METRIC_NAMES, MetricsConfig
from nucseg.metrics.instances.definitions import METRICS


def test_the_default_is_all():
    config = MetricsConfig()
    assert config == MetricsConfig(metrics="all", thresholds="all")
    assert config.metrics == METRIC_NAMES
    assert ["n_images", "n_true", "n_pred", *config.keys] == [row.key for row in METRICS]


def test_a_choice_keeps_the_order_of_the_report():
    config = MetricsConfig.model_validate({"metrics": ["map", "ap", "f1_50"], "thresholds": [0.75, 0.5]})
    assert config.keys == ("f1_50", "ap_50", "ap_75", "map")


def test_a_single_value_as_the_command_line_gives_it():
    config = MetricsConfig.model_validate({"metrics": "ap", "thresholds": "0.7"})
    assert config.keys == ("ap_70",)
    assert MetricsConfig.model_validate({"metrics": "ap", "thresholds": 0.7}) == config


@pytest.mark.parametrize(
    "values, message",
    [
        ({"metrics": ["f1"]}, "'f1_50'"),
        ({"metrics": []}, "at least 1"),
        ({"thresholds": [0.5, 0.42]}, r"\[0\.42\]; allowed are \[0\.5, 0\.55"),
        ({"thresholds": ["high"]}, "valid number"),
        ({"treshold": 0.5}, "treshold"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(values, message):
    with pytest.raises(ValidationError, match=message):
        MetricsConfig.model_validate(values)
