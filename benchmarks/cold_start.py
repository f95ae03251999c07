"""Where the time of one image goes that is predicted from the shell, in a separate process.

    python benchmarks/cold_start.py --model stardist
    python benchmarks/cold_start.py --model stardist --source ../earlier/src

Seconds are processor time, which other processes affect less than wall time; the minimum of several runs is printed.
The image is 512 x 512 pixels: the sample four times. A first run, not counted, fills the caches of files and bytecode.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import tifffile

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="stardist")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--source", type=Path, default=ROOT / "src", help="folder of the code to measure")
    parser.add_argument("--stages", type=Path, help=argparse.SUPPRESS)  # what the processes that are measured do
    options = parser.parse_args()
    if options.stages:
        run_stages(options.stages, options.model)
        return
    environment = os.environ | {"PYTHONPATH": str(options.source.resolve())}
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.tif"
        tifffile.imwrite(image, np.tile(tifffile.imread(ROOT / "samples/fluorescence.tif"), (2, 2)))
        stages = [sys.executable, __file__, "--model", options.model, "--stages", str(image)]
        command = "from nucseg.cli import main; main()"
        predict = [sys.executable, "-c", command, "predict", str(image), "--model", options.model]
        totals, tables = [], []
        for number in range(options.runs + 1):
            totals.append(measured([*predict, "-o", f"{folder}/{number}"], environment))
            answer = subprocess.run(stages, env=environment, check=True, capture_output=True, text=True)
            tables.append([line.split("\t") for line in answer.stdout.splitlines()])
    print("| what | processor, s |\n|---|---:|")
    for place, (name, _) in enumerate(tables[0]):
        print(f"| {name} | {min(float(table[place][1]) for table in tables[1:]):.2f} |")
    processor, clock = (min(times) for times in zip(*totals[1:], strict=True))
    print(f"| `nucseg predict`, all | {processor:.2f} ({clock:.1f} by the clock) |")


def measured(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Run a command; return the seconds of processor time and by the clock."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    clock, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, clock


def run_stages(image: Path, model: str) -> None:
    """Predict an image as the command does, step by step, and print the processor time of each step."""
    with suppress(ImportError):  # earlier code has none
        from nucseg.models.tensorflow_import import prepare_tensorflow

        prepare_tensorflow(lean=True)
    done = time.process_time()

    def stage(name: str) -> None:
        nonlocal done
        print(f"{name}\t{time.process_time() - done}")
        done = time.process_time()

    import tensorflow  # noqa: F401

    stage("import of TensorFlow and Keras")
    import nucseg.batch.predict
    import nucseg.reporting.options
    from nucseg.images.find import FoundImage

    stage("import of nucseg")
    from nucseg.inference.predictor import Predictor

    predictor = Predictor.load(model)
    stage("import of the model's packages, the model and its weights")
    from nucseg.inference.engine import LocalEngine

    engine, options = LocalEngine(), nucseg.reporting.options.BatchOptions()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first image, read to written", "second image"):
            output = Path(folder) / name
            (outcome,) = nucseg.batch.predict.predict_images(
                [FoundImage(str(image), image.stem)], output, predictor, engine, options, model=image.parent
            )
            if outcome.error:
                sys.exit(outcome.error)
            stage(name)


if __name__ == "__main__":
    main()
