"""Kedro's settings of the project."""

import os
import warnings

from nucseg.config_loader import ConfigLoader
from nucseg.hooks import ModelNames, ParameterChecks, ReadableErrors, RunSummary, ScoreTable
from nucseg.models.tensorflow_import import prepare_tensorflow
from nucseg.tracking import Tracking

# Albumentations would look for a newer version on the network at import.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
prepare_tensorflow()

# Kedro's own use of omegaconf; nothing a user of the project can change.
warnings.filterwarnings("ignore", message="register_new_resolver", category=UserWarning)

HOOKS = (ParameterChecks(), ReadableErrors(), ModelNames(), RunSummary(), ScoreTable(), Tracking())
CONFIG_LOADER_CLASS = ConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment names only what differs from base, at any depth.
    "merge_strategy": {"parameters": "soft"},
}
