"""The network of StarDist alone, in TensorFlow and in OpenVINO: milliseconds per megapixel, each in its precisions.

    pip install openvino            # not among nucseg's dependencies
    python benchmarks/engines.py --model stardist [--size 1536]

One square of random pixels, medians. The difference is the largest between an engine's outputs and TensorFlow's.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import openvino
import tensorflow as tf

from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor

REPEAT = 7


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="stardist")
    parser.add_argument("--size", type=int, default=1536)
    given = parser.parse_args()
    predictor = Predictor.load(given.model, PredictOptions(scale=1.0))
    segmenter = predictor.bundle.model
    image = np.random.default_rng(0).random((1, given.size, given.size, segmenter.in_channels), np.float32)
    network = tf.function(segmenter.network, autograph=False)
    expected = [output.numpy() for output in network(image)]

    def row(engine: str, run: Callable[[], Any], outputs: list[Any]) -> None:
        seconds = [timed(run) for _ in range(REPEAT + 1)][1:]
        milliseconds = 1e9 * statistics.median(seconds) / given.size**2
        difference = max(float(np.abs(a - b).max()) for a, b in zip(outputs, expected, strict=True))
        print(f"| {engine} | {milliseconds:.0f} | {difference:.2g} |", flush=True)

    print("| engine | ms a megapixel | largest difference |\n|---|---|---|")
    row(f"TensorFlow, {predictor.precision}", lambda: network(image), expected)
    with tempfile.TemporaryDirectory() as folder:
        segmenter.network.export(folder, verbose=False)
        converted = openvino.convert_model(folder)
    for precision in ("f32", "bf16"):
        options = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.Core().compile_model(converted, "CPU", options)
        row(f"OpenVINO, {precision}", lambda compiled=compiled: compiled(image), list(compiled(image).values()))


def timed(function: Callable[[], Any]) -> float:
    """Return the seconds that a function takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
