"""Time of StarDist's networks of the study (docs/models.md), with random weights.

    python benchmarks/network_time.py trunk trunk-features [--side 1024]

Rounds in turn, so that a slower minute of the machine meets all networks; the package's U-Net is always the first row.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from gpu_jobs import JOBS

from nucseg.models.precision import use_precision
from nucseg.models.stardist.config import StarDistConfig
from nucseg.models.stardist.network import build_network

ROUNDS = 9


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="+", choices=[name for name, job in JOBS.items() if job.model == "stardist"])
    parser.add_argument("--side", type=int, default=1024, help="rows and columns of the image")
    given = parser.parse_args()
    precision = use_precision("auto")
    image = tf.constant(np.random.default_rng(0).random((1, given.side, given.side, 3), np.float32))
    architectures = {"unet": {}, **{name: {**JOBS[name].architecture, "pretrained": None} for name in given.jobs}}
    networks = {
        name: build_network(StarDistConfig.model_validate(architecture)).model
        for name, architecture in architectures.items()
    }
    runs = {name: tf.function(lambda x, network=network: network(x)) for name, network in networks.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(ROUNDS + 1):
        for name, run in runs.items():
            began = time.perf_counter()
            run(image)
            if number:  # the first round traces
                seconds[name].append(time.perf_counter() - began)
    print(f"| network, {precision} | weights | ms a megapixel |\n|---|---:|---:|")
    for name, network in networks.items():
        milliseconds = 1e9 * statistics.median(seconds[name]) / given.side**2
        print(f"| `{name}` | {network.count_params():,} | {milliseconds:.0f} |")


if __name__ == "__main__":
    main()
