"""ONNX: the network for ONNX Runtime, OpenCV and other programs that have no TensorFlow."""

import logging
from pathlib import Path

import tensorflow as tf
from numpy.typing import NDArray

from nucseg.core.errors import ModelError
from nucseg.sharing.graph import IMAGE, Graph

logger = logging.getLogger(__name__)

FILE = "model.onnx"

USE = """```python
import onnxruntime

outputs = onnxruntime.InferenceSession("model.onnx").run(None, {"image": images})  # in the order below
```"""

OPSET = 17
"""Version of ONNX's operators: of 2022, so that older programs read the file."""


def write_onnx(graph: Graph, file: Path) -> None:
    """Write a network and compare it with Keras in ONNX Runtime.

    Args:
        graph: The network.
        file: The file to write.

    Raises:
        ModelError: The extra `export` is not installed, or the file's outputs differ from those of Keras.
    """
    try:
        import onnxruntime
        import tf2onnx
    except ImportError as error:
        raise ModelError(f"ONNX needs {error.name}: pip install 'nucseg[export]'.") from error
    names = [output.name for output in graph.outputs]

    def convert() -> None:
        function = tf.function(graph.run, input_signature=[graph.signature], autograph=False)
        tf2onnx.convert.from_function(function, input_signature=[graph.signature], opset=OPSET, output_path=str(file))
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

        def run(images: NDArray) -> dict[str, NDArray]:
            return dict(zip(names, session.run(names, {IMAGE: images}), strict=True))

        graph.check(run, file.name)

    try:
        convert()
    except ModelError as error:  # tf2onnx once gave an output an axis too many, and was right the next time
        logger.warning("%s It is converted once more.", error)
        convert()
