"""Find every nucleus in a microscopy image: StarDist and Mask R-CNN as a Kedro project."""

from typing import TYPE_CHECKING, Literal

from nucseg.core.errors import ConfigError
from nucseg.core.package import VERSION
from nucseg.core.types import Instances, Precision

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

__version__ = VERSION
__all__ = ["Instances", "measure", "predict", "write"]


def predict(
    image: "NDArray | str | Path",
    *,
    model: "str | Path" = "stardist",
    channel: str | int | None = None,
    scene: str | int | None = None,
    plane: "str | Sequence[str]" = (),
    scale: float | Literal["auto"] = "auto",
    magnification: float | None = None,
    tissue: "str | Path" = "auto",
    region: "str | Path | None" = None,
    score_threshold: float | None = None,
    tile: int | None = None,
    precision: Precision = "auto",
    measure: "str | int | Sequence[str | int] | None" = None,
    expand: float | str | None = None,
    pixel_size: "float | tuple[float, float] | None" = None,
) -> Instances:
    """Find the nuclei of one image of any size.

    >>> found = nucseg.predict("slide.tif")            # doctest: +SKIP
    >>> found.labels.max(), found.scores.mean()        # doctest: +SKIP

    Args:
        image: `(H, W)` or `(H, W, C)` of any integer, boolean or float dtype, as stored; or the path or URL of a file.
        model: Name or folder of a model; it is loaded once.
        channel: Name of a channel, or its number from 0; of stained tissue in colour, `hematoxylin`, `eosin` or `dab`;
            None takes a grey or a colour image as it is.
        scene: Name of a scene (a series, a position) of a file that holds several images, or its number from 0.
        plane: Plane of a stack in depth or time in a file: a number from 0, the maximum or the sharpest, such as
            `z=3`, `z=max` or `z=focus,t=0`. It must stand for one plane.
        scale: Factor, from 0.05 to 20, by which the image is resized for the network: below 1 for nuclei larger than
            those the model knows, above 1 for smaller ones. `auto` estimates it.
        magnification: Magnification of the objective, if known; only a model that rescales to one uses it.
        tissue: Where a slide (a large image with reduced copies) is predicted: `auto` finds its tissue, `none` predicts
            all of it; or the path of a GeoJSON file with the outlines of the tissue, for any image.
        region: Path of a GeoJSON file with the regions to predict, in pixels of the full resolution.
        score_threshold: Lowest score to keep, from 0.05 to 1; None takes the model's own.
        tile: Side of a tile in the network's pixels, from 64 up to the model's default; None takes the default. Seams
            do not show.
        precision: Number format of the network: `float32`, `bfloat16`, or `auto`, which is bfloat16 if the processor
            is faster in it and there is no GPU.
        measure: Channels to measure in each nucleus, see `channels` of `nucseg.measure`; None measures nothing.
        expand: Distance by which nuclei grow to cells that are measured, see `nucseg.measure`.
        pixel_size: Micrometres per pixel, see `nucseg.measure`.

    Returns:
        The label image `(H, W)` int32, the score of each nucleus and, with `measure`, their measurements.

    Raises:
        InputError: `image` is neither an array nor a path, is not a single image, has masked pixels, or has no such
            channel or plane.
        ModelError: There is no such model.
        ConfigError: An option is not allowed.
    """
    if measure is None and expand is not None:
        raise ConfigError("expand: says how far nuclei grow to cells that are measured; give measure, too.")
    from nucseg.measurements.sizes import checked_pixel_size

    size = checked_pixel_size(pixel_size)
    if measure is not None:  # checked before the prediction, which may take hours
        from nucseg.measurements.call import measure_options
        from nucseg.measurements.channels import channel_texts

        measure = channel_texts(measure, "measure")
        measure_options(measure, expand, size, plane)
    from nucseg.inference.call import predict_image  # imports TensorFlow, which takes seconds

    options = {
        "channel": channel,
        "scene": scene,
        "plane": plane,
        "scale": scale,
        "magnification": magnification,
        "tissue": tissue,
        "region": region,
        "score_threshold": score_threshold,
        "tile": tile,
        "precision": precision,
    }
    found, chosen = predict_image(image, model, options)
    if measure is None:
        return found
    from nucseg.measurements.call import measure_image

    rows = measure_image(found.labels, image, measure, expand, size, plane=chosen, scene=scene, scores=found.scores)
    return Instances(found.labels, found.scores, rows)


def measure(
    labels: "NDArray",
    image: "NDArray | Mapping[str, NDArray] | str | Path",
    *,
    channels: "str | int | Sequence[str | int]" = "all",
    expand: float | str | None = None,
    pixel_size: "float | tuple[float, float] | None" = None,
    plane: "str | Sequence[str]" = (),
    scene: str | int | None = None,
) -> "pd.DataFrame":
    """Measure the nuclei of a label image: shape, position, and intensities in nuclei, cells and rings.

    >>> nucseg.measure(labels, {"DAPI": dapi, "GFP": gfp}, expand="10px")["nucleus_mean_GFP"]     # doctest: +SKIP

    Args:
        labels: `(H, W)` of an integer dtype, up to 2147483647; 0 is background, gaps are allowed. A mask, which
            does not number its pieces, is refused.
        image: `(H, W)` or `(H, W, C)` of any number of channels; images `(H, W)` by the names of their channels; or the
            path or URL of a file.
        channels: `all`, or one or several of: the name or number of a channel; of an image in colour, a stain
            (`hematoxylin`, `eosin`, `dab`); NAME=CHANNEL; and, of a file, NAME=PATTERN for other
            files of the same field, such as `GFP=*_GFP.tif`.
        expand: Distance by which nuclei grow to cells, without overlap: micrometres, or pixels such as `12px`.
        pixel_size: Micrometres, from 0.001 to 1000, of a row and a column if they differ; None takes what a file says.
        plane: Plane of a stack in a file, as of `nucseg.predict`; `focus` looks at the file's first channel.
        scene: Scene of a file that holds several images, as of `nucseg.predict`.

    Returns:
        One row per label, in rising order, with the columns that the page on prediction lists, from `label` on.

    Raises:
        InputError: The labels are a mask or no label image, they and the image do not fit, an array has masked
            pixels, two channels have one name, there is no such channel, or micrometres are given and
            the pixel size is unknown.
        ConfigError: An option is not allowed.
    """
    from nucseg.measurements.call import measure_image

    return measure_image(labels, image, channels, expand, pixel_size, plane=plane, scene=scene)


def write(
    found: Instances,
    image: "NDArray | str | Path",
    folder: "str | Path",
    *,
    formats: "str | Sequence[str]" = "labels",
    name: str | None = None,
    channel: str | int | None = None,
    scene: str | int | None = None,
    plane: "str | Sequence[str]" = (),
    measure: "str | int | Sequence[str | int] | None" = None,
    expand: float | str | None = None,
    pixel_size: "float | tuple[float, float] | None" = None,
    overwrite: bool = False,
) -> "list[Path]":
    """Write the nuclei of an image as `nucseg predict` does: `<folder>/<format>/<name><suffix>`.

    >>> nucseg.write(found, "slide.tif", "results", formats=["geojson", "table"])     # doctest: +SKIP

    Args:
        found: The nuclei, as `nucseg.predict` returns them: numbered without gaps, each one 4-connected piece,
            scores from 0 to 1.
        image: The image that they were found in: `(H, W)` or `(H, W, C)`, or the path or URL of a file.
        folder: Folder for the results; it is created if it is missing.
        formats: One or several of the formats that the page on prediction lists.
        name: Name of the results, without suffix, or a path below the folder such as `plate/A01`, of at most 240 bytes;
            None takes that of the file, or `image`.
        channel: Channel of the image that is shown and measured, as of `nucseg.predict`.
        scene: Scene of a file that holds several images, as of `nucseg.predict`.
        plane: Plane of a stack in a file, as of `nucseg.predict`.
        measure: Channels that the formats `table` and `geojson` measure, see `channels` of `nucseg.measure`; None
            measures the image itself.
        expand: Distance by which nuclei grow to cells, see `nucseg.measure`.
        pixel_size: Micrometres, from 0.001 to 1000, of a row and a column if they differ; None takes what a file says.
        overwrite: Whether existing files are replaced.

    Returns:
        The files that were written: all of them, or none if one fails.

    Raises:
        InputError: The nuclei are not those of the image or not as `found` says, an array has masked pixels, a file
            exists, or a format cannot hold them.
        ConfigError: An option is not allowed.
        StorageError: A file cannot be written.
    """
    from nucseg.reporting.call import write_found

    return write_found(
        found,
        image,
        folder,
        formats=formats,
        name=name,
        channel=channel,
        scene=scene,
        plane=plane,
        measure=measure,
        expand=expand,
        pixel_size=pixel_size,
        overwrite=overwrite,
    )
