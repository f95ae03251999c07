"""A package of bioimage.io: network, description, test tensors and documentation in one zip."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from imageio.v3 import imwrite
from numpy.typing import NDArray
from pydantic import ValidationError
from skimage.segmentation import mark_boundaries
from stardist import non_maximum_suppression, polygons_to_label

from nucseg.core.errors import ConfigError, ModelError
from nucseg.images.transforms import Normalize, Rescale, Standardize
from nucseg.models.bundle import ModelBundle
from nucseg.models.facts import ModelFacts
from nucseg.sharing.example import draw_example, draw_stained
from nucseg.sharing.graph import IMAGE, TOLERANCE, Graph, graph_of
from nucseg.sharing.onnx_file import FILE, OPSET, write_onnx
from nucseg.sharing.readme import README, Publication, description, readme

_EPS = 1e-6  # what bioimageio.core adds to the difference of two percentiles
_SIDE = 256

USE = """`bioimageio predict` of the package bioimageio.core runs the whole model, with its preparation and decoding; so
do the programs of the bioimage.io community that run ONNX."""


def write_package(bundle: ModelBundle, facts: ModelFacts, publication: Publication, file: Path) -> None:
    """Write a package; its network is compared with Keras, and its description is checked by `bioimageio.spec`.

    Args:
        bundle: The model, in float32.
        facts: What is known of it.
        publication: Who shares it: at least one author, and a licence.
        file: The zip to write.

    Raises:
        ConfigError: Author or licence is missing, or the licence is unknown.
        ModelError: The extra `export` is not installed, the model cannot be described, or the package is not valid.
    """
    if not publication.authors or not publication.licence:
        raise ConfigError("--to bioimageio: needs who made the model, and its licence: --author and --license.")
    if facts.kind == "mask_rcnn":
        raise ModelError(
            f"{bundle.name}: bioimage.io has no step that turns boxes and masks into nuclei; export it --to onnx."
        )
    if facts.kind not in ("stardist", "patch_classifier"):
        raise ModelError(f"{bundle.name}: a {facts.kind} model is not written as a package; export it --to onnx.")
    try:
        from bioimageio.spec import load_description_and_validate_format_only, save_bioimageio_package
    except ImportError as error:
        raise ModelError(f"bioimage.io needs {error.name}: pip install 'nucseg[export]'.") from error
    is_stardist = facts.kind == "stardist"
    graph = graph_of(bundle, **({"joined": True} if is_stardist else {}))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_onnx(graph, folder / FILE)
        (folder / README).write_text(readme(bundle, facts, graph, publication, USE), "utf-8")
        tensors = _stardist_tensors(bundle, graph, folder) if is_stardist else _patch_tensors(bundle, graph, folder)
        about = description(bundle, facts, graph, publication)
        try:
            model = _describe(bundle, facts, graph, publication, folder, tensors, about)
        except ValidationError as error:
            problem = error.errors()[0]
            if "license" in problem["loc"]:
                raise ConfigError(
                    f"--license: {publication.licence!r} is not a licence of SPDX, such as CC-BY-4.0 or MIT."
                ) from error
            place = ".".join(map(str, problem["loc"]))
            raise ConfigError(f"--to bioimageio: {bundle.name}: {place}: {problem['msg']}.") from error
        save_bioimageio_package(model, output_path=file)
    summary = load_description_and_validate_format_only(file)
    if summary.status == "failed":
        reason = next(error.msg for detail in summary.details for error in detail.errors)
        raise ModelError(f"{bundle.name}: the package is not valid, so it is not kept ({reason}).")


def _describe(
    bundle: ModelBundle,
    facts: ModelFacts,
    graph: Graph,
    publication: Publication,
    folder: Path,
    tensors: tuple[Any, Any],
    about: Mapping[str, Any],
) -> Any:
    from bioimageio.spec.model import v0_5

    # At most one hundredth of the largest value is allowed.
    absolute = min(TOLERANCE, 0.005 * float(np.load(folder / "test_output.npy").max()))
    finds = "nuclei" if facts.kind == "stardist" else bundle.model.classes[1]
    return v0_5.ModelDescr(
        # Dots are not allowed there, and short names neither.
        name=f"{bundle.name.replace('.', '-')} ({facts.kind} of nucseg)",
        description=f"Finds {finds} in microscopy images ({facts.kind}, trained with nucseg).",
        authors=[v0_5.Author(name=name) for name in publication.authors],
        license=publication.licence,
        cite=[v0_5.CiteEntry(text=each.text, doi=each.doi) for each in graph.citations],
        documentation=v0_5.FileDescr(source=folder / README),
        covers=[v0_5.FileDescr(source=folder / "cover.png")],
        tags=["2d", "nuclei", "nucseg", facts.kind, "instance-segmentation" if finds == "nuclei" else "classification"],
        inputs=[tensors[0]],
        outputs=[tensors[1]],
        weights=v0_5.WeightsDescr(
            onnx=v0_5.OnnxWeightsDescr(source=folder / FILE, opset_version=OPSET),
        ),
        version="1.0.0",
        config=v0_5.Config(
            bioimageio=v0_5.BioimageioConfig(
                reproducibility_tolerance=[
                    v0_5.ReproducibilityTolerance(relative_tolerance=TOLERANCE, absolute_tolerance=absolute)
                ]
            ),
            nucseg=dict(about),
        ),
    )


def _stardist_tensors(bundle: ModelBundle, graph: Graph, folder: Path) -> tuple[Any, Any]:
    from bioimageio.spec.model import v0_5

    config, thresholds = bundle.model.config, bundle.model.thresholds
    side = -(-_SIDE // graph.multiple) * graph.multiple
    drawn = [draw_example((side, side), graph.channels)]
    drawn += [draw_stained(side)] if graph.channels == 3 else []
    candidates = []
    for each in drawn:
        prepared, steps = _prepared(bundle, each.astype(np.float32)[None])
        found = np.asarray(graph.run(tf.constant(prepared))["prob_dist"])[0]
        candidates.append((np.count_nonzero(found[..., 0] >= thresholds["score"]), each, found))
    count, pixels, found = max(candidates, key=lambda each: each[0])
    if not count:
        raise ModelError(
            f"{bundle.name}: finds nothing in the drawn nuclei with which a package is tested; export it --to onnx."
        )
    image = pixels.astype(np.float32)[None]
    grid = (config.grid, config.grid)
    points, scores, distances = non_maximum_suppression(
        found[..., 1:], found[..., 0], grid, b=0, prob_thresh=thresholds["score"], nms_thresh=thresholds["nms"]
    )
    labels = polygons_to_label(distances, points, shape=(side, side), prob=scores).astype(np.int32)
    np.save(folder / "test_input.npy", image)
    np.save(folder / "test_output.npy", labels[None, ..., None])
    shown = np.broadcast_to(image[0] / 255, (side, side, 3))
    _write_cover(folder, shown, mark_boundaries(shown, labels, color=(1, 0.8, 0)))
    size = v0_5.ParameterizedSize(min=4 * graph.multiple, step=graph.multiple)
    names = [v0_5.Identifier(name) for name in (("red", "green", "blue") if graph.channels == 3 else ("intensity",))]
    given = v0_5.InputTensorDescr(
        id=v0_5.TensorId(IMAGE),
        description="An image, as it is stored",
        axes=[
            v0_5.BatchAxis(),
            v0_5.SpaceInputAxis(id=v0_5.AxisId("y"), size=size),
            v0_5.SpaceInputAxis(id=v0_5.AxisId("x"), size=size),
            v0_5.ChannelAxis(channel_names=names),
        ],
        data=v0_5.IntervalOrRatioDataDescr(type="float32"),
        preprocessing=steps,
        test_tensor=v0_5.FileDescr(source=folder / "test_input.npy"),
    )
    referred = {
        axis: v0_5.SizeReference(tensor_id=v0_5.TensorId(IMAGE), axis_id=v0_5.AxisId(axis)) for axis in ("y", "x")
    }
    decoded = v0_5.StardistPostprocessingDescr(
        kwargs=v0_5.StardistPostprocessingKwargs2D(
            prob_threshold=thresholds["score"],
            nms_threshold=thresholds["nms"],
            n_rays=config.n_rays,
            grid=grid,
            b=0,
        )
    )
    returned = v0_5.OutputTensorDescr(
        id=v0_5.TensorId("prob_dist"),
        description="Label image: 0 is background, each nucleus has its own number",
        axes=[
            v0_5.BatchAxis(),
            *(v0_5.SpaceOutputAxis(id=v0_5.AxisId(axis), size=size) for axis, size in referred.items()),
            v0_5.ChannelAxis(channel_names=[v0_5.Identifier("nuclei")]),
        ],
        data=v0_5.NominalOrOrdinalDataDescr(type="int32", values=[0, 1]),
        postprocessing=[decoded],
        test_tensor=v0_5.FileDescr(source=folder / "test_output.npy"),
    )
    return given, returned


def _patch_tensors(bundle: ModelBundle, graph: Graph, folder: Path) -> tuple[Any, Any]:
    from bioimageio.spec.model import v0_5

    side = graph.side or graph.multiple
    drawn = np.stack([draw_stained(side, seed) for seed in range(32)])
    probabilities = np.asarray(graph.run(tf.constant(drawn))["probability"])
    most = np.argsort(-probabilities[:, 0])[:2]  # a test on values near 0 shows nothing
    patches = drawn[most]
    np.save(folder / "test_input.npy", patches)
    np.save(folder / "test_output.npy", probabilities[most])
    _write_cover(folder, *(patches / 255))
    given = v0_5.InputTensorDescr(
        id=v0_5.TensorId(IMAGE),
        description=f"Patches at {bundle.model.pixel_size:g} micrometres per pixel, as they are stored",
        axes=[
            v0_5.BatchAxis(),
            v0_5.SpaceInputAxis(id=v0_5.AxisId("y"), size=side),
            v0_5.SpaceInputAxis(id=v0_5.AxisId("x"), size=side),
            v0_5.ChannelAxis(channel_names=[v0_5.Identifier(name) for name in ("red", "green", "blue")]),
        ],
        data=v0_5.IntervalOrRatioDataDescr(type="uint8"),
        test_tensor=v0_5.FileDescr(source=folder / "test_input.npy"),
    )
    returned = v0_5.OutputTensorDescr(
        id=v0_5.TensorId("probability"),
        description=f"Probability that a patch shows: {bundle.model.classes[1]}",
        axes=[v0_5.BatchAxis(), v0_5.ChannelAxis(channel_names=[v0_5.Identifier(bundle.model.classes[1])])],
        data=v0_5.IntervalOrRatioDataDescr(type="float32", range=(0.0, 1.0)),
        test_tensor=v0_5.FileDescr(source=folder / "test_output.npy"),
    )
    return given, returned


def _prepared(bundle: ModelBundle, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[Any]]:
    """Apply a model's preparation as `bioimageio.core` does, and describe it for it.

    Args:
        bundle: The model.
        images: `(N, H, W, C)`.

    Returns:
        The prepared images, and the steps.

    Raises:
        ModelError: A transform cannot be described.
    """
    from bioimageio.spec.model import v0_5

    steps: list[Any] = []
    for transform in bundle.transforms:
        if isinstance(transform, Normalize):
            axes = (1, 2, 3) if transform.axis == "image" else (1, 2)
            low, high = np.percentile(images, (transform.pmin, transform.pmax), axis=axes, keepdims=True)
            images = ((images - low) / (high - low + _EPS)).astype(np.float32)
            names = [v0_5.AxisId(("batch", "y", "x", "channel")[axis]) for axis in axes]
            kwargs = v0_5.ScaleRangeKwargs(
                axes=names, min_percentile=transform.pmin, max_percentile=transform.pmax, eps=_EPS
            )
            steps.append(v0_5.ScaleRangeDescr(kwargs=kwargs))
        elif isinstance(transform, Rescale | Standardize):
            raise ModelError(
                f"{bundle.name}: a package of bioimage.io cannot describe its preprocessing {transform.name}; export "
                "it --to onnx, which describes it in words."
            )
    if not steps:
        raise ModelError(
            f"{bundle.name}: has no normalisation, so a package of bioimage.io would have to know the type of the "
            "image; export it --to onnx."
        )
    return images, steps


def _write_cover(folder: Path, left: NDArray, right: NDArray) -> None:
    """Write the picture of a package: two squares beside each other, of values in unit range."""
    imwrite(folder / "cover.png", np.rint(255 * np.concatenate([left, right], axis=1)).astype(np.uint8))
