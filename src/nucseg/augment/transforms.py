"""Conversion of the typed configs to albumentations transforms."""

import os
from typing import Any

from nucseg.augment import config as c

# Read when albumentations is imported, which would otherwise ask the package index for a newer version.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import albumentations as A  # noqa: N812 - albumentations' own alias
import cv2
import numpy as np
from numpy.typing import NDArray

from nucseg.images.intensity import to_unit_float
from nucseg.images.stains import as_hematoxylin


class WindowAffine(A.Affine):
    """An affine transform that computes only the central window of its output.

    A patch that is rotated and shrunk needs a source three times its side. Warping all of that and cropping afterwards
    costs eight times as much as warping only the patch.
    """

    window: tuple[int, int] | None = None
    """Rows and columns to compute around the centre; None computes the whole input's frame."""

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the transform, then move the output's frame onto the window."""
        drawn = super().get_params_dependent_on_data(params, data)
        if self.window is not None:
            top, left = center_offset(params["shape"][:2], self.window)
            drawn["matrix"] = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]]) @ drawn["matrix"]
            drawn["output_shape"] = self.window
        return drawn


class Hematoxylin(A.ImageOnlyTransform):
    """Show the haematoxylin of a colour image alone, as a prediction with `channel: hematoxylin` does."""

    def apply(self, img: NDArray, **params: Any) -> NDArray[np.float32]:
        """Return `img` `(H, W, 3)` in the colours of haematoxylin on white, in unit range."""
        return to_unit_float(as_hematoxylin(img, "hematoxylin"))


def center_offset(shape: tuple[int, int], window: tuple[int, int]) -> tuple[int, int]:
    """Compute the first row and column of a `window` (rows, columns) at the centre of `shape`."""
    return (shape[0] - window[0]) // 2, (shape[1] - window[1]) // 2


def build(transform: c.TransformConfig) -> A.BasicTransform:
    """Build the albumentations transform that a typed config describes.

    Borders are mirrored, so no transform brings in black corners; truths are never interpolated (albumentations warps
    masks by nearest neighbour).

    Args:
        transform: One entry of `AugmentationConfig.transforms`.
    """
    builders: dict[type, Any] = {
        c.Affine: _affine,
        c.Flip: lambda t: A.OneOf([A.HorizontalFlip(p=1), A.VerticalFlip(p=1)], p=t.p),
        c.Rotate90: lambda t: A.RandomRotate90(p=t.p),
        c.Elastic: _elastic,
        c.HEStain: lambda t: A.HEStain(
            method="random_preset", intensity_scale_range=t.scale, intensity_shift_range=t.shift, p=t.p
        ),
        c.Hematoxylin: lambda t: Hematoxylin(p=t.p),
        c.HueSaturation: lambda t: A.HueSaturationValue(
            # albumentations counts hue in half degrees and saturation in 255ths.
            hue_shift_limit=t.hue / 2,
            sat_shift_limit=255 * t.saturation,
            val_shift_limit=0,
            p=t.p,
        ),
        c.ToGray: lambda t: A.ToGray(p=t.p),
        c.ChannelShuffle: lambda t: A.ChannelShuffle(p=t.p),
        c.Invert: lambda t: A.InvertImg(p=t.p),
        c.BrightnessContrast: lambda t: A.RandomBrightnessContrast(t.brightness, t.contrast, p=t.p),
        c.Gamma: lambda t: A.RandomGamma(tuple(100 * g for g in t.gamma), p=t.p),
        c.Illumination: lambda t: A.Illumination(mode="linear", intensity_range=t.strength, p=t.p),
        c.Blur: lambda t: A.GaussianBlur(blur_limit=0, sigma_limit=t.sigma, p=t.p),
        c.Noise: lambda t: A.GaussNoise(std_range=t.std, p=t.p),
        c.ShotNoise: lambda t: A.ShotNoise(scale_range=t.scale, p=t.p),
    }
    return builders[type(transform)](transform)


def _affine(t: c.Affine) -> A.BasicTransform:
    return WindowAffine(
        scale=t.scale,
        rotate=t.rotate,
        shear=(-t.shear, t.shear),
        keep_ratio=True,
        balanced_scale=t.scale[0] < 1 < t.scale[1],
        border_mode=cv2.BORDER_REFLECT_101,
        p=t.p,
    )


def _elastic(t: c.Elastic) -> A.BasicTransform:
    # Uniform noise in [-1, 1] deviates by 1 / sqrt(3); a Gaussian of sigma s leaves 1 / (2 sqrt(pi) s) of that.
    alpha = t.displacement * np.sqrt(3) * 2 * np.sqrt(np.pi) * t.smoothness
    return A.ElasticTransform(
        alpha=float(alpha),
        sigma=t.smoothness,
        noise_distribution="uniform",
        border_mode=cv2.BORDER_REFLECT_101,
        p=t.p,
    )
