"""Published graphs: one of the same names and operations, which the test builds."""

import hashlib
import io
import tarfile

import numpy as np
import pytest
import tensorflow as tf

from deeplab_graph import graph_bytes
from nucseg.core.errors import ConfigError, DownloadError, InputError, ModelError
from nucseg.inference.options import PredictOptions
from nucseg.inference.semantic.predictor import SemanticPredictor
from nucseg.models.bundle import ModelBundle
from nucseg.models.deeplab.config import VOC_CLASSES, DeepLabConfig
from nucseg.models.deeplab.graph import PublishedDeepLab
from nucseg.models.deeplab.pretrained import create


@pytest.fixture(scope="module")
def graph():
    return graph_bytes()


@pytest.fixture
def archive(graph, tmp_path):
    path = tmp_path / "deeplabv3_mnv2_pascal_trainval.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        entry = tarfile.TarInfo("deeplabv3_mnv2_pascal_trainval/frozen_inference_graph.pb")
        entry.size = len(graph)
        file.addfile(entry, io.BytesIO(graph))
    return path


def config(place, **options):
    return DeepLabConfig(pretrained=str(place), fine_tune=False, **options)


@pytest.fixture
def image():
    pixels = np.zeros((6, 9, 3), np.uint8)
    pixels[..., 1] = 100
    pixels[2:4, 3:6, 0] = 200
    return pixels


def test_it_predicts_behind_the_same_protocol(archive, image, tmp_path):
    model = create(config(archive, sha256=hashlib.sha256(archive.read_bytes()).hexdigest()))
    assert isinstance(model, PublishedDeepLab)
    ModelBundle("scenes", model, ()).save(tmp_path / "scenes")
    bundle = ModelBundle.load(tmp_path / "scenes")
    assert bundle.model.classes == VOC_CLASSES
    found = SemanticPredictor(bundle, PredictOptions(precision="float32")).predict(image)
    expected = np.full((6, 9), 20)
    expected[2:4, 3:6] = 15
    np.testing.assert_array_equal(found.classes, expected)
    assert (found.confidence == 255).all()
    with pytest.raises(InputError, match="up to 513 pixels a side"):
        SemanticPredictor(bundle).predict(np.zeros((4, 600, 3), np.uint8))
    with pytest.raises(ModelError, match="cannot be trained"):
        model.compile(None)


def test_a_class_without_name(graph, image):
    model = PublishedDeepLab(("background", "person"), graph)
    with pytest.raises(ModelError, match="found the class 20, but 2 classes are named"):
        model.probabilities([image.astype(np.float32) / 255])


def test_wrong_files(graph, archive, tmp_path):
    with pytest.raises(ConfigError, match="it is another file"):
        create(config(archive, sha256="0" * 64))
    with pytest.raises(ConfigError, match="needs its checksum"):
        create(config("https://example.org/a.tar.gz"))
    with pytest.raises(ConfigError, match="there is no file"):
        create(config(tmp_path / "no.pb"))
    (tmp_path / "damaged.tar.gz").write_bytes(b"no archive")
    with pytest.raises(ModelError, match="cannot be read as an archive"):
        create(config(tmp_path / "damaged.tar.gz"))
    (tmp_path / "damaged.pb").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="this is no graph of DeepLab"):
        create(config(tmp_path / "damaged.pb"))
    with pytest.raises(ModelError, match="this is no graph of DeepLab"):
        PublishedDeepLab(VOC_CLASSES, graph_bytes(lambda image: tf.identity(image, name="other")))


def test_a_graph_that_reads_files_is_refused():
    def build(image):
        text = tf.io.read_file("/etc/passwd")
        with tf.control_dependencies([text]):
            tf.identity(tf.zeros(tf.shape(image)[:3], tf.int64), name="SemanticPredictions")

    with pytest.raises(ModelError, match="operations that no network needs: ReadFile"):
        PublishedDeepLab(VOC_CLASSES, graph_bytes(build))


def test_from_an_address(archive, tmp_path, monkeypatch):
    monkeypatch.setattr("nucseg.models.deeplab.graph.cache_folder", lambda: tmp_path / "cache")
    checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
    calls = []

    def retrieve(url, known_hash, name, folder):
        calls.append((url, known_hash))
        if "gone" in url:
            raise OSError("no route")
        return str(archive)

    monkeypatch.setattr("pooch.retrieve", retrieve)
    assert create(config("https://example.org/graph.tar.gz", sha256=checksum)).classes == VOC_CLASSES
    assert calls == [("https://example.org/graph.tar.gz", f"sha256:{checksum}")]
    with pytest.raises(DownloadError, match="could not be downloaded"):
        create(config("https://example.org/gone.tar.gz", sha256=checksum))
