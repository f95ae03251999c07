"""Worker processes on this machine: the same nuclei, whatever happens to a worker."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

from nucseg.core.errors import ConfigError
from nucseg.images.open import open_image
from nucseg.images.transforms import Normalize
from nucseg.inference import cluster
from nucseg.inference.cluster import DaskEngine, connected
from nucseg.inference.engine import LocalEngine
from nucseg.inference.options import PredictOptions
from nucseg.inference.predictor import Predictor
from nucseg.inference.tiled import predict_tiled
from nucseg.models.bundle import ModelBundle
from nucseg.models.precision import use_precision


@pytest.fixture(autouse=True)
def _precision_as_before():
    yield
    use_precision("float32")


@pytest.mark.slow
def test_a_killed_worker_loses_nothing(small_stardist, draw_nuclei, tmp_path):
    folder = tmp_path / "model"
    ModelBundle("small", small_stardist, (Normalize(pmin=0, pmax=100, min_range=1),)).save(folder)
    tifffile.imwrite(tmp_path / "a.tif", draw_nuclei((300, 420), 150, seed=7, gap=1)[0])
    predictor = Predictor.load(folder, PredictOptions(scale=1.0, precision="float32"))
    source = open_image(tmp_path / "a.tif")
    expected = predict_tiled(predictor.job(source, predictor.options.changed(tile=64)), LocalEngine()).instances()
    with connected(2, None) as client:
        engine = DaskEngine(client, folder, predictor)
        job = predictor.job(source, predictor.options.changed(tile=64))
        workers = [int(pid) for pid in client.run(os.getpid).values()]
        killed = []
        parts = {}
        for tile, part in engine.parts(job):
            parts[tile] = part
            if len(parts) == 3:
                os.kill(workers[0], signal.SIGKILL)
                killed.append(workers[0])
        assert killed
        assert killed[0] not in client.run(os.getpid).values()
        again = predict_tiled(predictor.job(source, predictor.options.changed(tile=64)), engine).instances()
        # Several images at a time, as `nucseg predict` does.
        with ThreadPoolExecutor(2) as pool:
            counts = list(
                pool.map(
                    lambda _: len(predict_tiled(predictor.job(source, predictor.options.changed(tile=128)), engine)),
                    range(2),
                )
            )
    assert sorted(parts) == list(job.grid)
    np.testing.assert_array_equal(again.labels, expected.labels)
    np.testing.assert_array_equal(again.scores, expected.scores)
    assert counts == [len(expected)] * 2


def test_a_scheduler_that_does_not_answer_is_reported(monkeypatch):
    from distributed import Client

    from nucseg.inference import cluster

    monkeypatch.setattr(cluster, "Client", lambda address, timeout: Client(address, timeout="1s"))
    with pytest.raises(ConfigError, match=r"tcp://127.0.0.1:9 does not answer"), connected(1, "tcp://127.0.0.1:9"):
        pass


def test_workers_get_paths_that_do_not_depend_on_where_they_started(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cluster._absolute("slides/a.tif") == str(tmp_path / "slides/a.tif")
    assert cluster._absolute("/data/a.tif") == "/data/a.tif"
    assert cluster._absolute("s3://bucket/a.zarr") == "s3://bucket/a.zarr"
