"""TensorFlow's SavedModel: the network for TensorFlow Serving, TensorFlow Lite and programs in other languages."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from nucseg.sharing.graph import Graph

USE = """```python
import tensorflow as tf

outputs = tf.saved_model.load("FOLDER").serve(images)  # by name
```"""


def write_saved_model(graph: Graph, folder: Path) -> None:
    """Write a network into an existing folder and compare what is read back with Keras.

    Args:
        graph: The network.
        folder: The folder; its endpoint `serve` is also the signature `serving_default`.

    Raises:
        ModelError: The outputs differ from those of Keras.
    """
    archive = keras.export.ExportArchive()
    archive.track(graph.network)
    archive.add_endpoint("serve", graph.run, input_signature=[graph.signature])
    archive.write_out(str(folder), verbose=False)
    loaded = tf.saved_model.load(str(folder))

    def run(images: NDArray) -> dict[str, NDArray]:
        return {name: np.asarray(value) for name, value in loaded.serve(tf.constant(images)).items()}

    graph.check(run, "SavedModel")
