"""`nucseg` with a model that only thresholds: it needs no TensorFlow, starts at once and is known to be right.

As a script it is the command line (`python fake.py serve …`). `FAKE_SECONDS` is how long a prediction takes, and
`FAKE_TASK_SECONDS` how long that of a task, which reports its progress `FAKE_TILES` times meanwhile. `FAKE_DEADLY`
kills the process at an image of that many columns.
"""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
from skimage.measure import label

sys.path.append(str(Path(__file__).parents[1]))  # where this is run as a script

from mosaics import mosaic_of
from nucseg.core.types import Instances
from nucseg.core.window import Window
from nucseg.inference.options import PredictOptions

DEFAULT = PredictOptions()


class Predictor:
    """Takes what is brighter than half of the range for nuclei; the first one found has the highest score."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.calls = 0

    @classmethod
    def load(cls, folder: Path, options: PredictOptions = DEFAULT) -> "Predictor":
        assert (folder / "config.json").is_file()
        return cls(float(os.environ.get("FAKE_SECONDS", "0")))

    def predict(self, image, options=DEFAULT, *, name="image"):
        self.calls += 1
        time.sleep(self.seconds)
        if str(image.shape[1]) == os.environ.get("FAKE_DEADLY"):
            os.kill(os.getpid(), signal.SIGKILL)
        grey = image if image.ndim == 2 else image[..., :3].mean(-1)
        labels = label(grey > 90, connectivity=1).astype(np.int32)
        scores = np.linspace(0.95, 0.2, labels.max(), dtype=np.float32)
        return Instances(labels, scores).above(0.1 if options.score_threshold is None else options.score_threshold)

    def predict_source(self, source, options=DEFAULT, *, progress=lambda fraction: None):
        seconds, tiles = (
            float(os.environ.get("FAKE_TASK_SECONDS", self.seconds)),
            int(os.environ.get("FAKE_TILES", "1")),
        )
        for tile in range(tiles):
            time.sleep(seconds / tiles)
            progress(tile / tiles)
        quick = type(self)()
        found = quick.predict(source.read(Window.whole(source.shape)), options)
        progress(1.0)
        return mosaic_of(found)


if __name__ == "__main__":
    module = ModuleType("nucseg.inference.predictor")
    vars(module)["Predictor"] = Predictor
    sys.modules[module.__name__] = module
    from nucseg.cli import main

    if "serve" in sys.argv:
        from nucseg.serving import server

        command = (sys.executable, __file__, "worker", "--until-input-ends")
        server.worker_processes = partial(server.worker_processes, command=command)
    main()
