"""Kedro's settings of the project."""

import os
import warnings

from nucseg.hooks import ParameterChecks, ReadableErrors, ScoreTable
from nucseg.models.tensorflow_import import prepare_tensorflow

# Albumentations would look for a newer version on the network at import.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
prepare_tensorflow()

# Kedro's own use of omegaconf; nothing a user of the project can change.
warnings.filterwarnings("ignore", message="register_new_resolver", category=UserWarning)

HOOKS = (ParameterChecks(), ReadableErrors(), ScoreTable())
# `kedro viz` works without its hooks; they would write into `.viz` at every run.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-viz",)
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment names only what differs from base, at any depth.
    "merge_strategy": {"parameters": "soft"},
}
