"""The `stardist` package's own model as the reference of the benchmarks."""

import shutil
from pathlib import Path
from typing import Any

from stardist.models import StarDist2D

from nucseg.models.registry import resolve_model
from nucseg.models.stardist.model import StarDist
from nucseg.models.stardist.network import stardist_config

HELP = (
    "U-Net that stock StarDist runs: a name or folder of nucseg, or a folder or zip of the package, such as its "
    "published models; default: the model itself. The U-Net that was shipped before a decoder on a trunk: after `git "
    "worktree add ../before 3d196dd` and `dvc pull` there, ../before/data/06_models/stardist."
)


def stock_folder(given: str, work: Path) -> Path:
    """Return the folder of a U-Net: of nucseg, or of the package; a zip is unpacked into a folder for this."""
    if not Path(given).is_file():
        return resolve_model(given).absolute()
    shutil.unpack_archive(given, work / "stock", "zip")
    return next((work / "stock").rglob("config.json")).parent


def stock_stardist(segmenter: StarDist) -> tuple[StarDist2D, dict[str, Any]]:
    """Build the package's model, which has no refinement head, and the options for nucseg's thresholds."""
    if segmenter.config.backbone != "unet":
        raise SystemExit("stock StarDist has no decoder on a trunk; name a U-Net with --stock")
    package = StarDist2D(stardist_config(segmenter.config), basedir=None)
    package.keras_model.set_weights(segmenter.polygon_model.get_weights())
    return package, {"prob_thresh": segmenter.thresholds["score"], "nms_thresh": segmenter.thresholds["nms"]}
