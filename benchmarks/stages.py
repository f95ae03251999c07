"""Where the time of a prediction goes: the stages of stock StarDist, and of `nucseg predict`.

    python benchmarks/stages.py --model stardist [--size 2000]

Predicts one mosaic of the real image that the `stardist` package ships, at its own scale. The stages of stock StarDist
run one after another and add up to the whole. Those of nucseg overlap for different tiles (the network runs on all
cores; the rest in threads beside it), so that their sum is above the whole.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import stardist.models.model2d
import tifffile
from predict import plain_model, write_mosaic
from stock import stock_stardist

from nucseg.batch import predict as batch
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

REPEAT = 5


class Clock:
    """Adds up the seconds spent in functions, which it replaces by ones that are timed."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def watch(self, stage: str, owner: Any, name: str) -> None:
        """Time a function of a module or class as a stage."""
        function: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - began

        setattr(owner, name, timed)

    def run(self, what: str, function: Callable[[], Any], megapixels: float) -> None:
        """Run a function several times and print a row for each of its stages."""
        function()
        self.seconds.clear()
        began = time.perf_counter()
        for _ in range(REPEAT):
            function()
        whole = (time.perf_counter() - began) / REPEAT
        for stage, seconds in self.seconds.items():
            print(f"| {what} | {stage} | {1000 * seconds / REPEAT / megapixels:.0f} |")
        print(f"| {what} | **whole** | **{1000 * whole / megapixels:.0f}** |", flush=True)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="stardist")
    parser.add_argument("--size", type=int, default=2000)
    given = parser.parse_args()
    megapixels = given.size**2 / 1e6
    folder = resolve_model(given.model)
    print("| what | stage | ms a megapixel |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        image = work / "mosaic.tif"
        write_mosaic(image, given.size)
        plain_model(folder, work / "plain")
        stock = Clock()
        for name, owner, function in (
            ("non-maximum suppression", stardist.models.model2d, "non_maximum_suppression_sparse"),
            ("drawing", stardist.models.model2d, "polygons_to_label"),
        ):
            stock.watch(name, owner, function)
        predictor = Predictor.load(folder, PredictOptions(scale=1.0))
        package, options = stock_stardist(predictor.bundle.model)
        stock.watch("network", package.keras_model, "predict")
        pixels = tifffile.imread(image)
        prepared = predictor.bundle.preprocessor().fit(pixels).image(pixels)
        for precision in ("float32", "auto"):
            effective = use_precision(precision)
            stock.run(
                f"`predict_instances`, {effective}", lambda: package.predict_instances(prepared, **options), megapixels
            )
        ours = Clock()
        for name, owner, function in (
            ("statistics, tiles, scale", Predictor, "job"),
            ("reading and preparing tiles", NetworkView, "read"),
            ("non-maximum suppression", stardist_model, "suppress"),
            ("drawing and refining", stardist_model.StarDist, "draw"),
            ("joining the tiles", stitched, "number_nuclei"),
            ("writing the label image", batch, "write_format"),
        ):
            ours.watch(name, owner, function)
        for what, model in (("nucseg, plain", work / "plain"), ("nucseg", folder)):
            predictor = Predictor.load(model, PredictOptions(scale=1.0))
            ours.watch("network", predictor.bundle.model, "_run")
            arguments = (predictor, LocalEngine(), BatchOptions(scale=1.0, overwrite=True))

            def predict(arguments: Any = arguments, model: Path = model) -> None:
                batch.predict_images([FoundImage(str(image), image.stem)], work / "out", *arguments, model=model)

            ours.run(f"{what}, {predictor.precision}", predict, megapixels)


if __name__ == "__main__":
    main()
