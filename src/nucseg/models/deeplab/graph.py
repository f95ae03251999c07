"""The graphs of DeepLab that its authors published, frozen, as a semantic segmenter.

Such as `deeplabv3_mnv2_pascal_trainval`, of https://github.com/tensorflow/models/tree/master/research/deeplab.
"""

import hashlib
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Literal, Self

import keras
import numpy as np
import pooch
import tensorflow as tf
from numpy.typing import NDArray

from nucseg.core.cache import cache_folder
from nucseg.core.errors import ConfigError, DownloadError, ModelError
from nucseg.core.window import Window
from nucseg.models.files import CONFIG, THRESHOLDS

INPUT, OUTPUT = "ImageTensor:0", "SemanticPredictions:0"
"""An image `(1, h, w, 3)` uint8, RGB, of at most 513 pixels a side; the class of each pixel, `(1, h, w)`."""

MAX_SIDE = 513
"""Pixels a side that the published graphs take."""

GRAPH = "frozen_inference_graph.pb"
"""The file of a graph, in an archive and in a model folder."""

# A graph is a program; what reads or writes files, or runs other code, has no place in one that looks at an image.
_FORBIDDEN = ("File", "PyFunc", "Save", "Restore", "Print", "LoadLibrary", "Socket", "Rpc", "Script", "Summary")
_MAX_BYTES = 1 << 30


class PublishedDeepLab:
    """A frozen graph; it cannot be trained, and a class has the probability 1 where the graph names it.

    Args:
        classes: Names of its classes, from 0 on.
        graph: The content of its file, a serialised `GraphDef`.

    Raises:
        ModelError: It is no graph of DeepLab.
    """

    in_channels: Literal[3] = 3
    stride, halo, max_side, whole_images = 1, 0, MAX_SIDE, True
    keras_model: keras.Model

    def __init__(self, classes: Sequence[str], graph: bytes) -> None:
        self.classes = tuple(classes)
        self.thresholds: dict[str, float] = {}
        self._graph = graph
        self._run = _function(graph)
        self._network_is_free = Lock()

    def probabilities(
        self, images: Sequence[NDArray[np.float32]], cores: Sequence[Window] | None = None
    ) -> list[NDArray[np.float32]]:
        """Return 1 for the class of each pixel and 0 for the others; see `SemanticSegmenter`.

        Raises:
            ModelError: The graph names a class that has no name.
        """
        windows = [Window.whole(image.shape) for image in images] if cores is None else cores
        found = []
        for image, window in zip(images, windows, strict=True):
            pixels = tf.constant(np.rint(255 * image).astype(np.uint8)[None])
            with self._network_is_free:
                classes = self._run(pixels).numpy()[0].astype(np.int64)[window.slices]
            if classes.max() >= len(self.classes):
                raise ModelError(
                    f"the graph found the class {classes.max()}, but {len(self.classes)} classes are named: name all "
                    "of them in deeplab.architecture.classes."
                )
            found.append(np.eye(len(self.classes), dtype=np.float32)[classes])
        return found

    def targets(self, image: NDArray[np.float32], truth: NDArray) -> Any:
        """Refuse: a frozen graph learns nothing."""
        raise ModelError("a published graph cannot be trained; set deeplab.architecture.fine_tune to false.")

    def compile(self, optimizer: keras.Optimizer) -> None:
        """Refuse, as `targets`."""
        raise ModelError("a published graph cannot be trained; set deeplab.architecture.fine_tune to false.")

    def tune(self, images: Sequence[NDArray], truths: Sequence[NDArray]) -> dict[str, float]:
        """Return no thresholds."""
        return {}

    def save(self, folder: Path) -> None:
        """Write the graph and what else `load` needs into an existing folder."""
        config = {"in_channels": 3, "architecture": {"classes": list(self.classes)}}
        (folder / CONFIG).write_text(json.dumps(config, indent=2))
        (folder / THRESHOLDS).write_text("{}")
        (folder / GRAPH).write_bytes(self._graph)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ModelError: A file is missing, damaged or of another kind.
        """
        try:
            classes = json.loads((folder / CONFIG).read_text())["architecture"]["classes"]
            return cls(tuple(map(str, classes)), (folder / GRAPH).read_bytes())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{folder}: not a complete model of a published DeepLab ({error}).") from error


def fetch_graph(place: str, sha256: str | None) -> bytes:
    """Read a published graph from a file, or download it.

    Args:
        place: Path or URL of the graph (`.pb`), or of the archive (`.tar.gz`) that it was published in.
        sha256: Checksum of that file; needed with a URL.

    Raises:
        ConfigError: There is no such file, a URL comes without a checksum, or the checksum is another.
        DownloadError: It cannot be downloaded, or is another file.
        ModelError: The archive holds no graph.
    """
    if "://" in place:
        if not sha256:
            raise ConfigError("deeplab.architecture.sha256: a graph from a URL needs its checksum.")
        try:
            name = f"{sha256[:16]}-{Path(place).name}"
            path = Path(pooch.retrieve(place, f"sha256:{sha256}", name, cache_folder()))
        except (OSError, ValueError) as error:
            raise DownloadError(f"{place}: could not be downloaded ({error}).") from error
    else:
        path = Path(place).expanduser()
        if not path.is_file():
            raise ConfigError(f"deeplab.architecture.pretrained: there is no file {place!r}.")
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if sha256 and found != sha256:
        raise ConfigError(f"{place}: has the SHA-256 checksum {found}, not {sha256}; it is another file.")
    return content if path.suffix == ".pb" else _from_archive(path)


def _from_archive(path: Path) -> bytes:
    try:
        with tarfile.open(path) as archive:
            entry = next((each for each in archive if each.isfile() and Path(each.name).name == GRAPH), None)
            stream = archive.extractfile(entry) if entry and entry.size <= _MAX_BYTES else None
            if stream is None:
                raise ModelError(f"{path}: holds no {GRAPH}.")
            return stream.read()
    except (OSError, tarfile.TarError, EOFError) as error:
        raise ModelError(f"{path}: cannot be read as an archive ({error}).") from error


def _function(graph: bytes) -> Any:
    definition = tf.compat.v1.GraphDef()
    try:
        definition.ParseFromString(graph)
    except Exception as error:  # an error of protobuf's own
        raise ModelError(f"this is no graph of DeepLab ({error}).") from error
    try:
        nodes = [*definition.node, *(node for each in definition.library.function for node in each.node_def)]
        strange = sorted({node.op for node in nodes if any(part in node.op for part in _FORBIDDEN)})
        if strange:
            raise ModelError(f"the graph has operations that no network needs: {', '.join(strange)}.")
        wrapped = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(definition, name=""), [])
        return wrapped.prune(INPUT, OUTPUT)
    except (ValueError, KeyError, TypeError) as error:
        why = " ".join(str(error).split())
        raise ModelError(f"this is no graph of DeepLab, from {INPUT} to {OUTPUT} ({why}).") from error
