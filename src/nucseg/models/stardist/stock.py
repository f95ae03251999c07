"""Models of the `stardist` package, as they are: what it trains, and what its authors and others publish."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from nucseg.core.errors import ModelError
from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.model import StarDist
from nucseg.models.stardist.pretrained import take_stock_weights, unlike_stock

_log = logging.getLogger(__name__)


def load_stock(folder: Path) -> StarDist:
    """Load a model that the `stardist` package wrote.

    Args:
        folder: Holds `config.json`, weights (`weights_best.h5`, or another name if there is no such file) and perhaps
            `thresholds.json`; without it, thresholds are the package's own.

    Raises:
        ModelError: A file is missing or damaged, or the model is of a kind that nucseg does not run.
    """
    try:
        theirs: dict[str, Any] = json.loads((folder / "config.json").read_text())
        if theirs.get("n_dim") != 2:
            raise ModelError(f"{folder}: finds nuclei in volumes; nucseg runs StarDist models of 2 dimensions only.")
        config = StarDistConfig(
            in_channels=theirs["n_channel_in"],
            n_rays=theirs["n_rays"],
            grid=theirs["grid"][0],
            unet_n_depth=theirs["unet_n_depth"],
            unet_n_filter_base=theirs["unet_n_filter_base"],
            unet_n_conv_per_depth=theirs["unet_n_conv_per_depth"],
            net_conv_after_unet=theirs["net_conv_after_unet"],
            refine_radius=0,
        )
        unlike = unlike_stock(theirs, config)
        if unlike:
            raise ModelError(f"{folder}: has {unlike}, which nucseg does not support.")
        model = StarDist(config)
        take_stock_weights(model, folder)
        if not all(np.isfinite(weights).all() for weights in model.network.get_weights()):
            raise ValueError("it has weights that are not numbers")
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ModelError(
            f"{folder}: not a complete model of the stardist package ({error}). It needs config.json and "
            "weights_best.h5."
        ) from error
    _log.warning(
        "%s is a model of the stardist package, which does not record how images are normalised: the percentiles 1 and "
        "99.8 over all channels are mapped to 0 and 1.",
        folder,
    )
    return model
