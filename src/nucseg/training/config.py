"""How a model is trained: the parameters `<model>.sampling` and `<model>.training` of `model_config.yml`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from nucseg.core.types import Modality, Precision
from nucseg.models.registry import MODEL_NAME


def _ordered(diameters: tuple[float, float]) -> tuple[float, float]:
    if diameters[0] > diameters[1]:
        raise ValueError(f"the first number must not exceed the second: {list(diameters)}")
    return diameters


Diameter = Annotated[float, Field(ge=4, le=512)]
Diameters = Annotated[tuple[Diameter, Diameter], AfterValidator(_ordered)]


class SamplingConfig(BaseModel):
    """Which patches of which images a training sees, if the truth is a label image."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    balance: Literal["none", "modality"] = Field(
        "none",
        description="`none`: all images are equally likely; `modality`: modalities are sampled by their weights.",
    )
    modality_weights: dict[Modality, Annotated[float, Field(gt=0)]] = Field(
        {}, description="Weights of the modalities for `balance: modality`; 1 for modalities that are not listed."
    )
    area_exponent: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Within a modality, an image's share of the patches grows with this power of its area: 0: all "
        "images are equally likely, 1: all pixels.",
    )
    foreground_probability: float = Field(
        0.9, ge=0, le=1, description="Share of the patches that are placed on a nucleus; the rest are placed anywhere."
    )
    background_probability: float = Field(
        0.0, ge=0, le=1, description="Share of the patches without any nucleus, generated or cut out of real images."
    )
    diameters: Diameters | None = Field(
        None,
        description="Range of the median diameter, in pixels, to which the nuclei of an image are resized in a patch, "
        "enlarged at most 4 times or shrunk 8 times; null: patches keep the image's pixels.",
    )
    resized_share: float = Field(1.0, ge=0, le=1, description="Share of the patches that `diameters` resizes.")
    enlarge: Diameters | None = Field(
        None,
        description="Two diameters in pixels: an image whose nuclei have a mean diameter, weighted by area, below the "
        "first is enlarged, at most 3 times, so that it is the second, in patches that `diameters` does not resize and "
        "in prediction; null: patches keep the image's pixels, and prediction enlarges from below 10 pixels to 20.",
    )
    min_nucleus_pixels: int = Field(
        8, ge=1, description="Minimum number of a nucleus's pixels in a patch; nuclei with fewer become background."
    )


class SemanticSamplingConfig(BaseModel):
    """Which patches of which images a training sees, if the truth is a class map."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    balance: Literal["none", "modality"] = Field(
        "none",
        description="`none`: all images are equally likely; `modality`: modalities are sampled by their weights.",
    )
    modality_weights: dict[Modality, Annotated[float, Field(gt=0)]] = Field(
        {}, description="Weights of the modalities for `balance: modality`; 1 for modalities that are not listed."
    )
    class_probability: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the patches that are placed on a pixel of a random class of the image other than 0; the "
        "rest are placed anywhere.",
    )


class PointSamplingConfig(BaseModel):
    """Which patches a training sees, where the truth is points (see `nucseg.datasets.points`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    positive_share: float = Field(0.5, gt=0, lt=1, description="Share of the training patches of class 1.")
    shift: float = Field(8.0, ge=0, le=64, description="Largest offset of a point from the patch's centre, in pixels.")
    distance: float = Field(
        40.0,
        ge=8,
        le=512,
        description="Minimum distance in pixels between the centre of a negative patch and every annotated point.",
    )
    dark_share: float = Field(
        0.5, ge=0, le=1, description="Share of the negatives that are among the darkest spots of their image."
    )
    hard_share: float = Field(
        0.0, ge=0, le=1, description="Share of the negatives that a first model mistook for class 1; 0: no first model."
    )
    negatives_per_image: int = Field(
        3, ge=1, le=1000, description="Number of negatives per image (its darkest spots) in validation and evaluation."
    )


class NamedModel(BaseModel):
    """The name of a model that is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = Field(
        None,
        pattern=MODEL_NAME,
        description="Name of the model that is trained, evaluated and drawn: its folder in `data/06_models`. Without "
        "one, a training is named after model and date, and without a training it is the shipped model.",
    )
    replace: bool = Field(False, description="Whether a training may replace a model of this name.")


class TrainingConfig(BaseModel):
    """Size of patches, optimiser, schedule and stopping of one training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    patch_size: int = Field(256, ge=32, le=2048, multiple_of=16, description="Side of a training patch in pixels.")
    batch_size: int = Field(4, ge=1, le=1024, description="Batch size.")
    steps_per_epoch: int = Field(100, ge=1, description="Training steps between two validations.")
    epochs: int = Field(400, ge=1, description="Maximum number of epochs.")

    learning_rate: float = Field(3e-4, gt=0, le=1, description="Peak learning rate (of Adam).")
    trunk_rate: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Factor of the learning rate for the weights of a trunk; below 1, or 0, it keeps "
        "more of what it learned before.",
    )
    trunk_after: int = Field(0, ge=0, description="Steps in which the trunk stays as it is and the rest alone learns.")
    schedule: Literal["cosine", "plateau", "constant"] = Field(
        "cosine",
        description="`cosine`: warm up, then decay to 0 at the last step; `plateau`: multiply by `plateau_factor` when "
        "the validation loss has not fallen for `plateau_patience` epochs; `constant`: no change.",
    )
    warmup_steps: int = Field(200, ge=0, description="Steps in which `cosine` increases from 0 to `learning_rate`.")
    cycles: int = Field(
        1, ge=1, le=100, description="Number of equally long cycles of epochs; `cosine` restarts in each."
    )
    cycle_decay: float = Field(0.5, gt=0, le=1, description="Factor applied to `learning_rate` after each cycle.")
    plateau_factor: float = Field(0.5, gt=0, lt=1, description="Factor applied to the learning rate on a plateau.")
    plateau_patience: int = Field(
        20, ge=1, description="Epochs without a better validation loss that count as a plateau."
    )
    weight_decay: float = Field(0.0, ge=0, lt=1, description="Decoupled weight decay (AdamW); 0 is Adam.")
    clip_norm: float | None = Field(None, gt=0, description="Maximum global norm of the gradients; null: no limit.")
    early_stopping_patience: int | None = Field(
        None,
        ge=1,
        description="Number of epochs without a better validation loss after which training stops; null: never.",
    )

    keep: Literal["best", "last"] = Field(
        "best",
        description="Which weights become the model: `best`, of the epoch with the lowest validation loss, or `last`, "
        "of the last epoch; a finished training gives either without being repeated.",
    )
    minutes: float | None = Field(
        None, gt=0, description="Time limit in minutes: no epoch begins that would end later; null: none."
    )

    validation_patches: int = Field(
        64, ge=1, description="Number of fixed patches of validation images for the validation loss."
    )
    tensorboard_images: int = Field(
        2,
        ge=0,
        le=64,
        description="Number of validation images whose AP TensorBoard shows after each epoch, with a picture of the "
        "first; 0: none.",
    )
    workers: int = Field(2, ge=1, le=64, description="Threads that prepare patches during the training step.")
    cache_mb: int = Field(2048, ge=16, description="Memory in MiB for the cache of images.")
    precision: Precision = Field(
        "auto",
        description="Compute precision; `auto` is bfloat16 if the processor is faster in it; weights are float32.",
    )
    seed: int = Field(42, ge=0, description="Random seed for weights, patches and augmentation.")
