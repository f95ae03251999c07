"""StarDist with initial weights: random, from an earlier model, or from one that the authors published."""

import json
import logging
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pooch
from csbdeep.models.pretrained import get_model_details

from nucseg.core.cache import cache_folder
from nucseg.core.errors import ConfigError, DownloadError, ModelError
from nucseg.models.backbones.efficientnet_lite import take_imagenet
from nucseg.models.stardist.config import IMAGENET, PRETRAINED, StarDistConfig
from nucseg.models.stardist.model import StarDist
from nucseg.models.stardist.network import stardist_config

_KEYS = "stardist.architecture"  # the section of the parameters in model_config.yml
_OURS = {"n_channel_in": "in_channels"}  # names that differ from the package's
_log = logging.getLogger(__name__)


def create(config: StarDistConfig) -> StarDist:
    """Build a StarDist model with the weights that `config.pretrained` names.

    Args:
        config: Its architecture must be that of the pretrained model.

    Returns:
        The model; random weights come from Keras's global seed, pretrained ones bring their thresholds.

    Raises:
        ConfigError: The name is unknown, or the architecture is not that of the pretrained model.
        DownloadError: The published model cannot be fetched.
        ModelError: The folder holds no StarDist model, or the ImageNet weights are not installed.
    """
    if config.pretrained is None:
        return StarDist(config)
    if config.pretrained == IMAGENET:
        model = StarDist(config)
        take_imagenet(model.keras_model.get_layer("trunk"))
        return model
    if config.pretrained in PRETRAINED:
        with tempfile.TemporaryDirectory() as folder:
            _unpack(fetch(config.pretrained), Path(folder))
            return _read(Path(folder), config)
    if not Path(config.pretrained).is_dir():
        raise ConfigError(
            f"{_KEYS}.pretrained: {config.pretrained!r} is neither a folder nor one of "
            f"{', '.join((IMAGENET, *PRETRAINED))}."
        )
    return _read(Path(config.pretrained), config)


def fetch(name: str) -> Path:
    """Download a published model, or take it from the cache; its sha256 is checked in both cases.

    Args:
        name: One of `PRETRAINED`; address and sha256 are those that the `stardist` package registers.

    Returns:
        The zip archive in `cache_folder()`.

    Raises:
        DownloadError: There is no network, file or disk space, or the content differs from what was published.
    """
    from stardist.models import StarDist2D  # takes a second, and only published models need it

    source = get_model_details(StarDist2D, name)[2]
    archive = cache_folder() / f"{name}.zip"
    try:
        pooch.retrieve(source["url"], f"sha256:{source['hash']}", archive.name, archive.parent)
    except (OSError, ValueError) as error:
        raise DownloadError(
            f"{name}: {source['url']} could not be downloaded ({error}). Connect to the network, or download it "
            f"elsewhere and put it at {archive}, then run again; or set {_KEYS}.pretrained to null or to a folder."
        ) from error
    return archive


def _unpack(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        for member in file.infolist():
            # By their plain names, wherever they are in the archive: nothing can be written outside the folder.
            name = Path(member.filename).name
            if name in ("config.json", "thresholds.json", "weights_best.h5"):
                (folder / name).write_bytes(file.read(member))


def _read(folder: Path, config: StarDistConfig) -> StarDist:
    """Read a model folder of the `stardist` package or of nucseg into the architecture `config`."""
    try:
        description = json.loads((folder / "config.json").read_text())
        source = StarDist.load(folder) if "architecture" in description else None
        if source:
            _check_same_network(source.config, config)
        else:
            _check_architecture(description, config)
        model = StarDist(config)
        if source:
            model.polygon_model.set_weights(source.polygon_model.get_weights())
            model.thresholds = source.thresholds
        else:
            take_stock_weights(model, folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{_KEYS}.pretrained: {config.pretrained} is not a complete StarDist model ({error}). It needs config.json "
            "and weights_best.h5 of the stardist package, or to be a model folder of nucseg."
        ) from error
    if config.refine_radius:
        _take_foreground_head(source, model)
    _log.info("Starting from the weights of %s.", config.pretrained)
    return model


def take_stock_weights(model: StarDist, folder: Path) -> None:
    """Read weights and thresholds from a folder of the `stardist` package, of the same architecture.

    Args:
        model: Gets them; without `thresholds.json` it keeps its thresholds.
        folder: Holds `weights_best.h5`, or other weights, of which the newest are taken as the package does.

    Raises:
        OSError, ValueError, KeyError: A file is missing or damaged.
    """
    files = sorted(folder.glob("*.h5"), key=lambda file: ("best" in file.name, file.stat().st_mtime))
    if not files:
        raise FileNotFoundError("there is no weights_best.h5")
    model.polygon_model.load_weights(files[-1])
    file = folder / "thresholds.json"
    if file.is_file():
        theirs = json.loads(file.read_text())
        model.thresholds = {"score": float(theirs["prob"]), "nms": float(theirs["nms"]), "area": 0.0}


def _take_foreground_head(source: StarDist | None, model: StarDist) -> None:
    """Copy the head's weights; if the pretrained model has none, the head starts from random ones."""
    config = model.config
    if source is None or not source.config.refine_radius:
        if not config.fine_tune:
            raise ConfigError(
                f"{_KEYS}.refine_radius: {config.refine_radius} is not allowed with {config.pretrained} used as is, "
                "which has no foreground head. Set it to 0, or fine_tune to true so that the head learns."
            )
        return
    model.network.set_weights(source.network.get_weights())


def _check_same_network(theirs: StarDistConfig, config: StarDistConfig) -> None:
    """Check that two of nucseg's own models have the same network.

    Raises:
        ConfigError: They differ.
    """
    head = ("refine_filters",) if theirs.refine_radius and config.refine_radius else ()
    other = "unet_" if theirs.backbone != "unet" else "decoder_"  # has no meaning there
    shaping = [
        name
        for name in StarDistConfig.model_fields
        if name in ("backbone", "in_channels", "n_rays", "grid", "decoder_filters", "net_conv_after_unet", *head)
        or name.startswith("unet_")
    ]
    if theirs.backbone != "unet" and bool(theirs.refine_radius) != bool(config.refine_radius):
        shaping.append("refine_radius")  # with it, the scores are computed from other features
    wanted = {
        name: getattr(theirs, name)
        for name in shaping
        if not name.startswith(other) and getattr(theirs, name) != getattr(config, name)
    }
    if wanted:
        listed = ", ".join(f"{_KEYS}.{name} = {_written(value)}" for name, value in wanted.items())
        raise ConfigError(f"{_KEYS}.pretrained: {config.pretrained} has another architecture; set {listed}.")


def _written(value: Any) -> Any:
    """Format a value for YAML."""
    return list(value) if isinstance(value, tuple) else value


def _check_architecture(theirs: dict[str, Any], config: StarDistConfig) -> None:
    fields = {_OURS.get(key, key): value for key, value in unlike_stock(theirs, config).items()}
    if config.backbone != "unet":  # of the package, which knows no other
        fields = {"backbone": "unet", **fields}
    if not fields:
        return
    unknown = [key for key in fields if key not in StarDistConfig.model_fields]
    grid = fields.get("grid")
    if unknown or (grid is not None and len(set(grid)) > 1):
        raise ModelError(f"{_KEYS}.pretrained: {config.pretrained} has {fields}, which nucseg does not support.")
    if grid is not None:
        fields["grid"] = grid[0]
    wanted = ", ".join(f"{_KEYS}.{key} = {value}" for key, value in fields.items())
    raise ConfigError(f"{_KEYS}.pretrained: {config.pretrained} has another architecture; set {wanted}.")


def unlike_stock(theirs: dict[str, Any], config: StarDistConfig) -> dict[str, Any]:
    """Return what a model of the `stardist` package has otherwise than a configuration: keys and values of the package.

    Args:
        theirs: The content of its `config.json`.
        config: The configuration.
    """
    ours = vars(stardist_config(config))
    network = ("axes", "backbone", "grid", "n_channel_in", "n_classes", "n_rays", "net_conv_after_unet")
    return {
        key: theirs[key]
        for key in ours
        if (key in network or key.startswith("unet_")) and key in theirs and _plain(ours[key]) != _plain(theirs[key])
    }


def _plain(value: Any) -> Any:
    """Convert tuples to lists, as JSON does, so that both compare equal."""
    return list(value) if isinstance(value, tuple) else value
