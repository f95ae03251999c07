"""Measure how the memory of a task grows with its image: all of a worker's work except the network.

The network is left out (bright spots are the nuclei): it sees one tile at a time whatever the size of the image, and
takes most of the time.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from serving_memory import tiff

from fake_segmenter import WholeNuclei
from nucseg.core.types import Instances
from nucseg.images.transforms import Normalize, ToGrayscale
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.models.bundle import ModelBundle
from nucseg.serving.decoding import decode_upload
from nucseg.serving.results import NUCLEI, write_result
from nucseg.serving.settings import Settings


class Bright(WholeNuclei):
    """Takes connected bright pixels for a nucleus."""

    halo = 64

    def __init__(self) -> None:
        self.thresholds = {"score": 0.5}

    def find(self, image: NDArray[np.float32]) -> Instances:
        """Return the bright spots."""
        labels, number = ndimage.label(image.reshape(image.shape[:2]) > 0.35)
        return Instances(labels.astype(np.int32), np.full(number, 0.9, np.float32))


def work(upload: Path) -> None:
    """Predict an upload, write its result in every format, and print the highest memory."""
    transforms = (ToGrayscale(), Normalize(pmin=0, pmax=100, min_range=1))
    predictor = Predictor(ModelBundle("bright", Bright(), transforms), PredictOptions(scale=1.0, precision="float32"))
    started = time.monotonic()
    with upload.open("rb") as stream, tempfile.TemporaryDirectory() as folder:
        source = decode_upload(stream, Settings(_env_file=None).max_task_pixels)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        nuclei = predictor.predict_source(source)
        predicted = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        write_result(nuclei, source, Path(folder), NUCLEI.values())
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{source.shape}: {len(nuclei)} nuclei, {time.monotonic() - started:.0f} s; "
        f"MB at start {before >> 10}, predicted {predicted >> 10}, written {after >> 10}",
        flush=True,
    )


def main(sides: list[int]) -> None:
    """Measure each side in a separate process."""
    for side in sides:
        with tempfile.NamedTemporaryFile(suffix=".tif") as file:
            file.write(tiff(side))
            file.flush()
            subprocess.run([sys.executable, __file__, "--upload", file.name], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sides", type=int, nargs="*", help="rows and columns of the images")
    parser.add_argument("--upload", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    work(options.upload) if options.upload else main(options.sides)
