"""Where the time of a prediction goes: the stages of stock StarDist, and of `nucseg predict`.

    python benchmarks/stages.py --model stardist [--stock U_NET] [--size 2000] [--repeat 5]

Predicts one mosaic of the real image that the `stardist` package ships, at its own scale. The stages of stock StarDist
run one after another and add up to the whole. Those of nucseg overlap for different tiles (the network runs on all
cores; the rest in threads beside it), so that their sum is above the whole. Processor time, which other work on the
machine affects less, is that of the thread that runs a stage, and of the whole process.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import stardist.models.model2d
import tifffile
from numpy.typing import NDArray
from predict import plain_model, write_mosaic
from stock import HELP, stock_folder, stock_stardist

from nucseg.batch import nuclei as batch
from nucseg.batch.predict import predict_images
from nucseg.core.errors import ConfigError
from nucseg.images.find import FoundImage
from nucseg.inference.engine import LocalEngine
from nucseg.inference.instances import stitched
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.inference.view import NetworkView
from nucseg.models.precision import use_precision
from nucseg.models.registry import resolve_model
from nucseg.models.stardist import model as stardist_model
from nucseg.reporting.options import BatchOptions

STOCK = (
    ("non-maximum suppression", stardist.models.model2d, stardist.models.model2d.non_maximum_suppression_sparse),
    ("drawing", stardist.models.model2d, stardist.models.model2d.polygons_to_label),
)
OURS = (
    ("statistics, tiles, scale", Predictor, Predictor.job),
    ("reading and preparing tiles", NetworkView, NetworkView.read),
    ("non-maximum suppression", stardist_model, stardist_model.suppress),
    ("drawing and refining", stardist_model.StarDist, stardist_model.StarDist.draw),
    ("joining the tiles", stitched, stitched.number_nuclei),
    ("writing the label image", batch, batch.write_planes),
)
"""Stages, the modules or classes that call a function, and the function."""


class Clock:
    """Adds up the seconds spent in functions, which it replaces by ones that are timed.

    Args:
        repeat: How often `run` calls its function.
    """

    def __init__(self, repeat: int) -> None:
        self._repeat = repeat
        self.seconds: dict[str, NDArray[np.float64]] = {}

    def watch(self, stage: str, owner: Any, name: str) -> None:
        """Time a function of a module or class as a stage."""
        function: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = np.array([time.perf_counter(), time.thread_time()])
            try:
                return function(*args, **kwargs)
            finally:
                took = np.array([time.perf_counter(), time.thread_time()]) - began
                self.seconds[stage] = self.seconds.get(stage, 0.0) + took

        setattr(owner, name, timed)

    def run(self, what: str, function: Callable[[], Any], megapixels: float) -> None:
        """Run a function several times and print a row for each of its stages."""
        function()
        self.seconds.clear()
        began = np.array([time.perf_counter(), time.process_time()])
        for _ in range(self._repeat):
            function()
        self.seconds["**whole**"] = np.array([time.perf_counter(), time.process_time()]) - began
        for stage, seconds in self.seconds.items():
            clock, processor = 1000 * seconds / self._repeat / megapixels
            print(f"| {what} | {stage} | {clock:.0f} | {processor:.0f} |", flush=True)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="stardist")
    parser.add_argument("--stock", help=HELP)
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each row, of which the mean is given")
    given = parser.parse_args()
    megapixels = given.size**2 / 1e6
    folder = resolve_model(given.model)
    print("| what | stage | ms a megapixel | of processor time |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        image = work / "mosaic.tif"
        write_mosaic(image, given.size)
        plain = plain_model(folder, work / "plain")
        stock = Clock(given.repeat)
        for name, owner, function in STOCK:
            stock.watch(name, owner, function.__name__)
        predictor = Predictor.load(stock_folder(given.stock or given.model, work), PredictOptions(scale=1.0))
        package, options = stock_stardist(predictor.bundle.model)
        stock.watch("network", package.keras_model, "predict")
        pixels = tifffile.imread(image)
        prepared = predictor.bundle.preprocessor().fit(pixels).image(pixels)
        for precision in ("float32", "bfloat16"):
            with suppress(ConfigError):  # a processor without bfloat16
                use_precision(precision)
                what = f"`predict_instances`, {precision}"
                stock.run(what, lambda: package.predict_instances(prepared, **options), megapixels)
        ours = Clock(given.repeat)
        for name, owner, function in OURS:
            ours.watch(name, owner, function.__name__)
        for what, model in (("nucseg, plain", plain), ("nucseg", folder)):
            if model is None:
                continue
            predictor = Predictor.load(model, PredictOptions(scale=1.0))
            ours.watch("network", predictor.bundle.model, "_run")
            arguments = (predictor, LocalEngine(), BatchOptions(scale=1.0, overwrite=True))

            def predict(arguments: Any = arguments, model: Path = model) -> None:
                predict_images([FoundImage(str(image), image.stem)], work / "out", *arguments, model=model)

            ours.run(f"{what}, {predictor.precision}", predict, megapixels)


if __name__ == "__main__":
    main()
