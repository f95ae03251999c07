"""Measure the speed of Mask R-CNN: seconds, peak memory and share of each stage, and training steps per second.

    python benchmarks/mask_rcnn.py [--presets small small:efficientnet_lite0] [--sizes 256 512 1024] [--train]
    python benchmarks/mask_rcnn.py --presets data/06_models/mask_rcnn --sizes 512

A preset has random weights: 1,000 proposals are scored and 200 nuclei of 24 pixels are drawn and pasted, whatever the
network finds. A model folder predicts the real image that the `stardist` package ships (0.4 nuclei per 1,000 pixels),
or turned and mirrored copies of it side by side, as far as they go. Each line comes from a process of its own, so that
its peak memory is its own; beside it stands what the process held before the first image. The times are medians. Needs
Linux or macOS.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
N_NUCLEI = 200


def main() -> None:
    """Run each measurement in a separate process and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    presets = ["small", "small:efficientnet_lite0", "resnet50"]
    parser.add_argument("--presets", nargs="+", default=presets, metavar="PRESET[:BACKBONE]|FOLDER")
    parser.add_argument("--sizes", nargs="+", type=int, default=[256, 512, 1024])
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--train", action="store_true", help="measure training steps too")
    parser.add_argument("--one", nargs=2, metavar=("PRESET", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        preset, size = options.one
        measure = measure_training if size == "train" else measure_prediction
        sys.stdout.write(json.dumps(measure(preset, size, options.precision, options.repeat)))
        return
    sizes = [*map(str, options.sizes), *(["train"] if options.train else [])]
    lines: list[dict[str, Any]] = []
    for preset in options.presets:
        for size in sizes:
            command = [sys.executable, __file__, "--one", preset, size]
            command += ["--precision", options.precision, "--repeat", str(options.repeat)]
            lines.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    for kind in ("prediction", "training"):
        rows = [{key: value for key, value in line.items() if key != kind} for line in lines if kind in line]
        if rows:
            columns = list(rows[0])
            table = [columns, ["---"] * len(columns), *([str(row[column]) for column in columns] for row in rows)]
            sys.stdout.write(f"\n{kind}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in table))


def measure_prediction(preset: str, size: str, precision: str, repeat: int) -> dict[str, Any]:
    """Time the whole way of one image, and each stage of it by itself."""
    from keras import ops

    from nucseg.models.mask_rcnn.compiled import compiled
    from nucseg.models.mask_rcnn.model import Detections

    side = int(size)
    is_trained = Path(preset).is_dir()
    model, image, effective = _trained(preset, side, precision) if is_trained else _random(preset, side, precision)
    before = _peak_mb()
    features, proposals = model._proposals(image)
    if is_trained:
        found = model.propose([image], model.thresholds)[0]
        thresholds = model.thresholds
    else:
        found = _made_up(side)
        proposals = np.resize(found.boxes, (model.config.proposals, 4))
        thresholds = {"nms": 1.0, "mask": 0.5, "area": 0}
    levels = ops.convert_to_numpy(model.keras_model.mask_levels(found.boxes))

    def draw(features: Any) -> Any:
        return model._masks(features, found.boxes, levels)

    def paste(masks: Any) -> None:
        model.decode(Detections(found.boxes, found.scores, masks), (side, side), thresholds)

    def whole() -> None:
        features, _ = model._proposals(image)
        model._refined(features, proposals, (side, side))
        paste(draw(features))

    def predict() -> None:
        model.decode(model.propose([image], thresholds)[0], (side, side), thresholds)

    run_pyramid, masks = compiled(model.keras_model.pyramid), draw(features)
    total = _median(predict if is_trained else whole, repeat)
    pyramid = _median(lambda: _wait(run_pyramid(image[None])), repeat)
    stages = {
        "backbone and pyramid": pyramid,
        "RPN and proposals": _median(lambda: model._proposals(image), repeat) - pyramid,
        "RoIAlign and box head": _median(lambda: model._refined(features, proposals, (side, side)), repeat),
        "RoIAlign and mask head": _median(lambda: draw(features), repeat),
        "paste": _median(lambda: paste(masks), repeat),
    }
    spent = sum(stages.values())
    shares = {name: f"{1000 * part:.0f} ms, {100 * part / spent:.0f} %" for name, part in stages.items()}
    return {
        "prediction": True,
        "preset": Path(preset).name,
        "pixels": f"{size}²",
        "nuclei": len(found.boxes),
        "precision": effective,
        "seconds": round(total, 3),
        "peak MB": round(_peak_mb()),
        "MB before predicting": round(before),
        **shares,
    }


def _random(preset: str, side: int, precision: str) -> tuple[Any, Any, str]:
    """Return a model that takes every anchor for a nucleus, noise, and the precision."""
    model, effective = _model(preset, precision, rpn_score=0.0)
    return model, np.random.default_rng(0).random((side, side, 3), np.float32), effective


def _made_up(side: int) -> Any:
    from nucseg.models.mask_rcnn.model import Detections

    rng = np.random.default_rng(0)
    corner = rng.uniform(0, side - 24, (N_NUCLEI, 2)).astype(np.float32)
    scores = np.sort(rng.random(N_NUCLEI).astype(np.float32))[::-1]
    return Detections(np.concatenate([corner, corner + 24], -1), scores, np.zeros(0, np.float32))


def _trained(folder: str, side: int, precision: str) -> tuple[Any, Any, str]:
    """Return a model folder's model, the real image as it sees it, and the precision."""
    from stardist.data import test_image_nuclei_2d

    from nucseg.models.bundle import ModelBundle
    from nucseg.models.precision import use_precision

    effective = use_precision(precision)
    bundle = ModelBundle.load(Path(folder))
    image = test_image_nuclei_2d()
    copies = -(-side // image.shape[0])
    image = np.pad(image, [(0, (copies - 1) * length) for length in image.shape], mode="symmetric")[:side, :side]
    return bundle.model, bundle.preprocessor().fit(image).image(image), effective


def measure_training(preset: str, _size: str, precision: str, repeat: int) -> dict[str, Any]:
    """Time training steps of four patches of 256 x 256 pixels, without the feed."""
    import keras

    model, effective = _model(preset, precision)
    rng = np.random.default_rng(0)
    labels = np.kron(np.arange(1, 65).reshape(8, 8), np.pad(np.ones((24, 24), int), 4)).astype(np.int32)
    items = [model.targets(rng.random((256, 256, 3), np.float32), labels) for _ in range(4)]
    x, y = np.stack([x for x, _ in items]), tuple(np.stack(parts) for parts in zip(*(y for _, y in items), strict=True))
    model.compile(keras.optimizers.Adam(1e-4))
    seconds = _median(lambda: model.keras_model.train_on_batch(x, y), max(repeat, 10))
    return {
        "training": True,
        "preset": preset,
        "precision": effective,
        "seconds a step": round(seconds, 3),
        "steps/s": round(1 / seconds, 2),
        "peak MB": round(_peak_mb()),
    }


def _model(preset: str, precision: str, **settings: float) -> tuple[Any, str]:
    from nucseg.models.precision import use_precision
    from nucseg.models.registry import create_model

    effective = use_precision(precision)
    name, _, backbone = preset.partition(":")
    parts = {"preset": name} | ({"backbone": backbone} if backbone else {})
    return create_model("mask_rcnn", parts | settings), effective


def _wait(outputs: Any) -> None:
    import keras

    keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


def _median(function: Callable[[], object], repeat: int) -> float:
    for _ in range(2):  # traces and warms up
        function()
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        function()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    main()
