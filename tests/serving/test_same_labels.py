"""One image, one model, four ways to its nuclei: the same label image."""

import io
import subprocess
import sys

import numpy as np
import pytest
import requests
import tifffile

from kaggle_masks import kaggle_decode
from nucseg.images.io import read_labels, write_image
from nucseg.images.transforms import parse_transforms

# Guarded, as the installed command is: the processes that decode uploads import it once more.
COMMAND = "from nucseg.cli import main\nif __name__ == '__main__':\n    main()\n"


@pytest.mark.slow
def test_command_server_queue_and_evaluation_agree(
    processes, small_stardist, draw_nuclei, make_sample, tmp_path, wait
) -> None:
    from nucseg.models.bundle import ModelBundle
    from nucseg.params import EvaluationConfig
    from nucseg.pipelines.model_evaluation.nodes import predictor
    from nucseg.tasks import instances

    bundle = ModelBundle("small", small_stardist, parse_transforms([{"name": "normalize", "pmin": 0, "pmax": 100}]))
    bundle.save(tmp_path / "small")
    image = draw_nuclei((130, 170), 18, seed=4)[0]
    file = tmp_path / "picture.tif"
    write_image(file, image)
    script = tmp_path / "command.py"
    script.write_text(COMMAND)

    server = processes.server("--model", str(tmp_path / "small"), script=script, NUCSEG_WORKERS="1", NUCSEG_LEASE="60")
    data = file.read_bytes()
    answer = requests.post(f"{server.url}/model/predict", files={"image": ("a", data)}, timeout=180).json()
    masks = [" ".join(map(str, each["mask"])) for each in answer["predictions"]]
    served = kaggle_decode(masks, image.shape)
    task = requests.post(f"{server.url}/tasks", data=data, headers={"Content-Type": "image/tiff"}, timeout=180).json()
    wait(lambda: requests.get(f"{server.url}/masks/{task['id']}", timeout=60).ok, server)
    queued = requests.get(f"{server.url}/masks/{task['id']}", params={"format": "labels"}, timeout=60).content

    arguments = ["predict", str(file), "-o", str(tmp_path / "out"), "--model", str(tmp_path / "small")]
    subprocess.run([sys.executable, str(script), *arguments], check=True, cwd=tmp_path, capture_output=True)
    sample = make_sample(file, file, image_id="picture", height=130, width=170, n_nuclei=18)
    ((labels, _),) = predictor(instances)(ModelBundle.load(tmp_path / "small"), [sample], EvaluationConfig())

    (evaluated,) = labels.values()
    assert evaluated.max() > 8
    np.testing.assert_array_equal(served, evaluated)
    np.testing.assert_array_equal(tifffile.imread(io.BytesIO(queued)), evaluated)
    np.testing.assert_array_equal(read_labels(tmp_path / "out/labels/picture.tif"), evaluated)
    assert server.stop() == 0
