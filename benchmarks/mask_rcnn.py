"""Measure the speed of Mask R-CNN: seconds, peak memory and share of each stage, and training steps per second.

    python benchmarks/mask_rcnn.py [--presets small small:efficientnet_lite0] [--sizes 256 512 1024] [--train]

Weights are random, which takes the same time: 1,000 proposals are scored and 200 nuclei of 24 pixels are drawn and
pasted, whatever the network finds. Each line comes from a process of its own, so that its peak memory is its own;
beside it stands what the process held before the first image. The times are medians. Needs Linux or macOS.
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
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
N_NUCLEI = 200


def main() -> None:
    """Run each measurement in a separate process and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    presets = ["small", "small:efficientnet_lite0", "resnet50"]
    parser.add_argument("--presets", nargs="+", default=presets, metavar="PRESET[:BACKBONE]")
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
    import numpy as np
    from keras import ops

    from nucseg.models.mask_rcnn.boxes import enlarge
    from nucseg.models.mask_rcnn.compiled import compiled
    from nucseg.models.mask_rcnn.paste import draw_instances
    from nucseg.models.mask_rcnn.proposals import propose

    model, effective = _model(preset, precision)
    network, config = model.keras_model, model.config
    before = _peak_mb()
    rng = np.random.default_rng(0)
    side = int(size)
    images = rng.random((1, side, side, 3), np.float32)
    anchors = network.anchors((side, side))
    corner = rng.uniform(0, side - 24, (N_NUCLEI, 2)).astype(np.float32)
    boxes = np.concatenate([corner, corner + 24], -1)
    scores = np.sort(rng.random(N_NUCLEI).astype(np.float32))[::-1]

    def paste(masks: Any) -> None:
        around = ops.convert_to_numpy(enlarge(boxes, config.mask_margin))
        draw_instances(masks, around, scores, 0.5, (side, side))

    def whole() -> None:
        features, found, score, _ = model._detect(images, anchors)
        model._kept(ops.convert_to_numpy(found)[0], ops.convert_to_numpy(score)[0] >= 0, model.thresholds["nms"])
        paste(model._masks(features, boxes, levels))

    def first_stage(pyramid: list[Any]) -> Any:
        outputs = [network.rpn(level) for level in pyramid[config.box_level :]]
        logits, codes = (ops.concatenate(parts, axis=1) for parts in zip(*outputs, strict=True))
        counts = {"before": config.before_nms, "after": config.proposals, "nms_iou": config.rpn_nms}
        return propose(logits, codes, anchors, (side, side), **counts)[0]

    run_pyramid = compiled(network.pyramid)
    run_first, run_box = compiled(first_stage), compiled(network.score_boxes)
    pyramid = run_pyramid(images)
    proposals = np.resize(boxes, (1, config.proposals, 4))
    levels = ops.convert_to_numpy(network.mask_levels(boxes))
    masks = model._masks(pyramid, boxes, levels)
    total = _median(whole, repeat)
    stages = {
        "backbone and pyramid": _median(lambda: _wait(run_pyramid(images)), repeat),
        "RPN and proposals": _median(lambda: _wait(run_first(pyramid)), repeat),
        "RoIAlign and box head": _median(lambda: _wait(run_box(pyramid, proposals)), repeat),
        "RoIAlign and mask head": _median(lambda: model._masks(pyramid, boxes, levels), repeat),
        "paste": _median(lambda: paste(masks), repeat),
    }
    spent = sum(stages.values())
    shares = {name: f"{1000 * part:.0f} ms, {100 * part / spent:.0f} %" for name, part in stages.items()}
    return {
        "prediction": True,
        "preset": preset,
        "pixels": f"{side}²",
        "precision": effective,
        "seconds": round(total, 3),
        "peak MB": round(_peak_mb()),
        "MB before predicting": round(before),
        **shares,
    }


def measure_training(preset: str, _size: str, precision: str, repeat: int) -> dict[str, Any]:
    """Time training steps of four patches of 256 x 256 pixels, without the feed."""
    import keras
    import numpy as np

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


def _model(preset: str, precision: str) -> tuple[Any, str]:
    from nucseg.models.precision import use_precision
    from nucseg.models.registry import create_model

    effective = use_precision(precision)
    name, _, backbone = preset.partition(":")
    return create_model("mask_rcnn", {"preset": name} | ({"backbone": backbone} if backbone else {})), effective


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
