"""A folder that the `stardist` package loads."""

import contextlib
import io
import json
from pathlib import Path

import numpy as np
from csbdeep.utils import save_json
from stardist.models import StarDist2D

from nucseg.core.errors import ModelError
from nucseg.models.stardist.model import StarDist
from nucseg.models.stardist.network import stardist_config
from nucseg.sharing.example import draw_example

USE = """```python
from csbdeep.utils import normalize
from stardist.models import StarDist2D

model = StarDist2D(None, name="FOLDER", basedir="ITS PARENT")
labels, details = model.predict_instances(image)  # prepared as below
```

It finds the polygons that nucseg finds before it refines their borders."""


def write_stardist_folder(model: StarDist, name: str, folder: Path) -> None:
    """Write a model as the `stardist` package stores its own, and compare what that package reads with Keras.

    Args:
        model: The model.
        name: Its name for errors.
        folder: An existing folder: gets `config.json`, `thresholds.json` and `weights_best.h5`.

    Raises:
        ModelError: Its network is not the package's U-Net, or what is read back differs.
    """
    if model.config.backbone != "unet":
        raise ModelError(
            f"{name}: its backbone is {model.config.backbone}, and the stardist package knows only the U-Net; export "
            "it --to onnx."
        )
    with contextlib.redirect_stdout(io.StringIO()):  # the package prints what it does
        stock = StarDist2D(stardist_config(model.config), basedir=None)
        stock.keras_model.set_weights(model.polygon_model.get_weights())
        save_json(vars(stock.config), folder / "config.json")
        thresholds = {"prob": model.thresholds["score"], "nms": model.thresholds["nms"]}
        (folder / "thresholds.json").write_text(json.dumps(thresholds))
        stock.keras_model.save_weights(folder / "weights_best.h5")
        read = StarDist2D(None, name=folder.name, basedir=folder.parent)
    images = draw_example((8 * model.stride, 12 * model.stride), model.in_channels)[None] / np.float32(150)
    for wanted, got in zip(model.polygon_model([images]), read.keras_model([images]), strict=True):
        if not np.allclose(wanted, got, atol=1e-5):
            raise ModelError(f"{name}: what the stardist package reads differs from the model, so it is not kept.")
