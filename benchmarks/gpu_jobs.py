"""What benchmarks/train_on_gpu.py trains: the rows of the study of StarDist on a trunk, and models to ship."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nucseg.augment.augmenter import Augmenter
from nucseg.augment.config import AugmentationConfig
from nucseg.training.config import SamplingConfig, TrainingConfig

CONF = Path(__file__).parents[1] / "conf/base/parameters"


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        says: How it differs from the recipe.
        architecture: Of the model, beside the defaults.
        training: Beside `conf/base`.
        sampling: Beside `conf/base` and `AS_THEY_ARE`.
        model: `stardist`, `mask_rcnn` or `unet`.
        drawn: Number of drawn images of ablation marks that are trained on instead of nuclei; a twentieth more is for
            validation.
        axis: Of the normalisation.
        augmentation: Changes of the transforms of `conf/base` and of `MUCH_ZOOM`, by name.
        by_time: Whether the training lasts as long as its time limit, whatever `epochs` says.
        start: The model folder whose weights it starts from, where the parts of the networks have the same names and
            shapes; None: as `architecture` says.
        cycles: Of the learning rate, if `by_time`: number of times that it rises and falls. The running mean at the end
            of each is written: `cycle1` and so on.
        kept: Which weights are written beside these: running mean, last ones.
        snapshots: Number of last epochs whose weights are written, too.
        policy: Keras's: the number format of the layers; what losses see is always float32.
        shifts: Whether depthwise convolutions are sums of shifted images, which XLA makes fast.
    """

    says: str
    architecture: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    sampling: dict[str, Any] = field(default_factory=dict)
    model: str = "stardist"
    drawn: int = 0
    axis: str = "image"
    augmentation: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_time: bool = False
    start: str | None = None
    cycles: int = 1
    kept: tuple[str, ...] = ("last",)
    snapshots: int = 0
    policy: str = "float32"
    shifts: bool = True


# 3,000 steps of four patches of 160 pixels, as in benchmarks/study.py.
SHORT = {
    "steps_per_epoch": 250, "epochs": 12, "warmup_steps": 250, "patch_size": 160, "batch_size": 4,
    "validation_patches": 64, "learning_rate": 4e-4,
}  # fmt: skip
PIXELS = {
    "patch_size": 192, "batch_size": 16, "steps_per_epoch": 125, "epochs": 1000, "schedule": "constant",
    "learning_rate": 5e-4,
}  # fmt: skip
LONG = {
    "patch_size": 256, "batch_size": 32, "steps_per_epoch": 125, "epochs": 1000, "schedule": "constant",
    "warmup_steps": 300, "learning_rate": 8e-4, "weight_decay": 0.0, "clip_norm": 5.0,
}  # fmt: skip
TRUNK = {"backbone": "efficientnet_lite0", "pretrained": "imagenet", "refine_filters": 48}
UNET = {"pretrained": "imagenet"}
LIGHT = {**TRUNK, "decoder_filters": [128, 96, 64, 32], "net_conv_after_unet": 64, "refine_filters": 16}
SMALL = {"preset": "small", "backbone": "efficientnet_lite0", "positive_rois": 64, "negative_rois": 128}
MEDIUM = {**TRUNK, "decoder_filters": [128, 96, 64, 48], "net_conv_after_unet": 64}
SIZES = {"diameters": [8, 120], "resized_share": 0.6, "background_probability": 0.08}
LITTLE_ZOOM = {"affine": {"scale": [0.67, 1.5]}}  # sizes come from `diameters`
# Of the jobs that say nothing of sizes: those of the study, and of the U-Nets, which know no `diameters`.
AS_THEY_ARE = {"diameters": None, "background_probability": 0.05, "area_exponent": 0.0}
MUCH_ZOOM = {"affine": {"scale": [0.5, 2.0]}}
STRONG = {
    "affine": {"scale": [0.67, 1.5], "shear": 5.0},
    "he_stain": {"p": 0.5, "scale": [0.6, 1.5], "shift": [-0.15, 0.15]},
    "hue_saturation": {"p": 0.4, "hue": 15, "saturation": 0.25},
    "to_gray": {"p": 0.12},
    "brightness_contrast": {"brightness": 0.15, "contrast": 0.4},
    "gamma": {"p": 0.4, "gamma": [0.6, 1.7]},
    "illumination": {"p": 0.2},
    "blur": {"p": 0.25, "sigma": [0.5, 2.0]},
    "noise": {"std": [0.01, 0.06]},
    "shot_noise": {"p": 0.12, "scale": [0.001, 0.015]},
}
_long: dict[str, Any] = {
    "training": LONG,
    "sampling": {"diameters": [5, 120], "resized_share": 0.4, "area_exponent": 0.25, "background_probability": 0.1},
    "augmentation": STRONG, "by_time": True, "kept": (), "policy": "mixed_bfloat16", "cycles": 3,
}  # fmt: skip
JOBS = {
    "trunk": Job("EfficientNet-Lite0, ImageNet weights, seed 42", TRUNK, SHORT, kept=("ema", "last"), snapshots=6),
    "trunk-seed-43": Job("seed 43", TRUNK, {**SHORT, "seed": 43}, kept=("ema", "last")),
    "trunk-seed-44": Job("seed 44", TRUNK, {**SHORT, "seed": 44}, kept=("ema", "last")),
    "trunk-medium": Job("decoder 128, 96, 64, 48, features 64, foreground 48", MEDIUM, SHORT),
    "trunk-random": Job("random weights", {**TRUNK, "pretrained": None}, SHORT, kept=("ema", "last")),
    "trunk-narrow": Job(
        "decoder 96, 64, 48, 32, features 64, foreground 16",
        {**TRUNK, "decoder_filters": [96, 64, 48, 32], "net_conv_after_unet": 64, "refine_filters": 16}, SHORT,
    ),
    "trunk-light": Job("decoder 128, 96, 64, 32, features 64, foreground 16", LIGHT, SHORT),
    "trunk-decoder": Job("decoder 128, 96, 64, 32", {**TRUNK, "decoder_filters": [128, 96, 64, 32]}, SHORT),
    "trunk-features": Job("features 64", {**TRUNK, "net_conv_after_unet": 64}, SHORT),
    "trunk-foreground": Job("foreground 16", {**TRUNK, "refine_filters": 16}, SHORT),
    "trunk-grid-1": Job("polygons for each pixel, by depth-to-space", {**TRUNK, "grid": 1}, SHORT),
    "trunk-iou": Job("IoU of the polygons as the loss of the distances", {**TRUNK, "train_dist_loss": "iou"}, SHORT),
    "trunk-per-channel": Job("each channel normalised separately", TRUNK, SHORT, axis="channel"),
    "trunk-sizes": Job("`diameters: [8, 120]`, `resized_share: 0.6`", TRUNK, SHORT, SIZES, augmentation=LITTLE_ZOOM),
    "stardist": Job("a StarDist to ship", MEDIUM, start="data/06_models/stardist", **_long),
    "mask_rcnn": Job(
        "a Mask R-CNN to ship",
        {
            **SMALL, "anchor_sizes": [[6, 11, 19], [28, 40, 56], [80, 112, 160]], "finest_convolution": False,
            "boxes_from_finest": True, "box_canonical": 28,
        },
        model="mask_rcnn", start="data/06_models/mask_rcnn", **_long,
    ),
    "mask_rcnn-before": Job(
        "the network shipped before", SMALL, model="mask_rcnn", start="data/06_models/mask_rcnn", **_long
    ),
    "unet": Job("a U-Net for the foreground", UNET, PIXELS, model="unet", by_time=True, kept=("ema",)),
    "marks": Job(
        "a U-Net for ablation marks",
        {**UNET, "classes": ["background", "mark"]},
        PIXELS,
        {"balance": "none"},
        model="unet",
        drawn=400,
        by_time=True,
        kept=("ema",),
    ),
}  # fmt: skip


def training_config(job: Job) -> TrainingConfig:
    """Return the length, rate and seed of a job."""
    base = _conf("model_config")[_of(job)]["training"]
    return TrainingConfig.model_validate({**base, "precision": "float32", **job.training})


def sampling_config(job: Job) -> SamplingConfig:
    """Return which patches a job sees."""
    base = _conf("model_config")[_of(job)]["sampling"]
    return SamplingConfig.model_validate({**base, **AS_THEY_ARE, **job.sampling})


def augmentation(job: Job) -> AugmentationConfig:
    """Return the transforms of a job's patches."""
    listed = _conf("data_augmentations")["data_augmentations"]["transforms"]
    changes = {**MUCH_ZOOM, **job.augmentation}
    changed = [{**transform, **changes.get(transform["name"], {})} for transform in listed]
    return AugmentationConfig.model_validate({"transforms": changed})


def augmenter(job: Job) -> Augmenter:
    """Return the augmentation of a job."""
    return Augmenter.from_config(augmentation(job))


def _of(job: Job) -> str:
    return "stardist" if job.model == "unet" else job.model  # the same patches


def _conf(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CONF / f"{name}.yml").read_text())
    return content
