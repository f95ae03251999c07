"""The plugin in napari: manifest, windows and layers, offscreen and in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nucseg import napari_plugin
from nucseg.inference.call import predict_image

PROGRAM = """
import json, sys
import numpy as np
from npe2 import PluginManager, PluginManifest
from qtpy.QtWidgets import QApplication
from napari.layers import Image, Layer

app = QApplication([])
manifest = PluginManifest.from_file(sys.argv[1])
manifest.validate_imports()
PluginManager.instance().register(manifest)
find, train = (widget.get_callable()() for widget in manifest.contributions.widgets)
image = Image(np.load(sys.argv[2]), name="a")
find.image.choices = [image]
find.model.value = "tiny"
labels = Layer.create(*find())
train.image.choices, train.nuclei.choices = [image], [labels]
train.folder.value, train.model_name.value = sys.argv[3], "mine"
train()
print(json.dumps({
    "name": manifest.name,
    "offered": list(find.model.choices),
    "options": [child.name for child in find],
    "nuclei": int(labels.data.max()),
    "scores": labels.features["score"].tolist(),
    "metadata": labels.metadata["model"],
}))
"""


@pytest.mark.slow
def test_nuclei_are_found_and_kept_for_a_training(tiny: str, tmp_path: Path, draw_nuclei: object) -> None:
    packages = os.environ.get("NUCSEG_NAPARI")
    if packages is None:
        give_up = pytest.fail if "napari" in os.environ.get("NUCSEG_REQUIRE", "") else pytest.skip
        give_up("needs NUCSEG_NAPARI, a folder with napari, PyQt6 and the packages that they need")
    image: NDArray = draw_nuclei((96, 96), 8, seed=3)[0]  # type: ignore[operator]
    np.save(tmp_path / "image.npy", image)
    arguments = [
        Path(napari_plugin.__file__).with_name("napari.yaml"),
        tmp_path / "image.npy",
        tmp_path / "corrections",
    ]
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), packages])
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": path, "HOME": str(tmp_path)},
    )
    assert answer.returncode == 0, answer.stderr
    said = json.loads(answer.stdout.splitlines()[-1])
    found = predict_image(image, tiny, {})[0]
    assert said["name"] == "nucseg"
    assert "tiny" in said["offered"]
    assert said["options"][:5] == ["image", "model", "plane", "channel", "threshold"]
    assert said["nuclei"] == len(found)
    assert said["scores"] == pytest.approx(found.scores.tolist(), abs=1e-5)
    assert said["metadata"] == "tiny"
    assert [file.name for file in (tmp_path / "corrections/labels").iterdir()] == ["a.tif"]
