import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

# Run by tests/serving, which has a server for it.
NEED_A_SERVER = {"serving"}
NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def test_there_are_those_that_the_readme_names(root: Path) -> None:
    named = re.findall(r"\(notebooks/(\w+)\.ipynb\)", (root / "README.md").read_text())

    assert {"augmentations", "compare_runs", "results"} <= set(named)
    assert sorted(named) == [path.stem for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_kept_without_outputs_and_asserts_something(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]

    assert all(not cell.outputs and cell.execution_count is None for cell in cells)
    assert any(line.startswith("assert ") for cell in cells for line in cell.source.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if path.stem not in NEED_A_SERVER], ids=lambda path: path.stem
)
def test_runs(path: Path, project_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The kernel is the Python of the tests, whatever kernels the user has.
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    # tests/conftest.py sets another for the tests; a notebook shows its figures.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(project_copy / "notebooks" / path.name, as_version=4)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": project_copy / "notebooks"}}
    )

    try:
        client.execute()
    except CellExecutionError as error:
        pytest.fail(f"{path.name}: {error.ename}: {error.evalue}")

    images = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert images
