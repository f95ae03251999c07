"""`nucseg doctor`: checks of this installation."""

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import click

from nucseg.core.errors import NucsegError
from nucseg.core.package import VERSION

_PACKAGES = ("tensorflow", "keras", "stardist", "kedro", "albumentations", "numpy", "tifffile", "zarr", "dask")


@click.command()
def doctor() -> None:
    """Show versions, devices, models and caches, and test the models on a demonstration image.

    The exit status is 1 if no model can be used or a test fails.
    """
    import psutil

    from nucseg.models.precision import describe_device, use_precision
    from nucseg.models.registry import MODELS, project_models, resolve_model

    click.echo(f"nucseg {VERSION} on Python {platform.python_version()}, {platform.platform()}")
    for package in _PACKAGES:
        click.echo(f"{package} {version(package)}")
    click.echo(f"device: {describe_device()}")
    click.echo(f"precision: {use_precision('auto')}")
    memory = psutil.virtual_memory()
    click.echo(f"memory: {memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free")
    for name, folder in _folders().items():
        existing = next(place for place in (folder, *folder.parents) if place.is_dir())
        free = shutil.disk_usage(existing).free / 2**30
        click.echo(f"{name}: {folder} ({free:.1f} GiB free{'' if existing == folder else '; does not exist yet'})")
    usable = []
    for name in project_models():
        try:
            folder = resolve_model(name)
        except NucsegError as error:
            click.echo(f"model {name}: {error}")
        else:
            usable.append((name, folder))
            click.echo(f"model {name}: {folder}")
    if not usable:
        click.echo("self-test: skipped, since there is no model")
        sys.exit(1)
    tests = {
        "instance_segmentation": _finds_nuclei,
        "semantic_segmentation": _assigns_classes,
        "patch_classification": _classifies,
    }
    failed = [name for name, folder in usable if not _test(name, folder, tests[MODELS[project_models()[name]].task])]
    if failed:
        sys.exit(1)


def _folders() -> dict[str, Path]:
    from nucseg.core.cache import cache_folder

    folders = {"working folder": Path.cwd(), "model cache": cache_folder()}
    if "NUCSEG_MODELS" in os.environ:
        folders["NUCSEG_MODELS"] = Path(os.environ["NUCSEG_MODELS"]).expanduser()
    return folders


def _test(name: str, folder: Path, test: Callable[[Path], bool]) -> bool:
    """Call the test of a model's task, and print how it went."""
    click.echo(f"self-test of {name}: ", nl=False)
    try:
        return test(folder)
    except NucsegError as error:
        click.echo(f"failed: {error}")
        return False


def _finds_nuclei(folder: Path) -> bool:
    """Predict the image that comes with StarDist."""
    from stardist.data import test_image_nuclei_2d

    from nucseg.inference.options import PredictOptions
    from nucseg.inference.predictor import Predictor

    image = test_image_nuclei_2d()
    started = time.perf_counter()
    predictor = Predictor.load(folder, PredictOptions(scale=1.0))
    loaded = time.perf_counter()
    found = predictor.predict(image, name="the demonstration's image")
    seconds = time.perf_counter() - loaded
    click.echo(
        f"{len(found)} nuclei found in the demonstration image (which has 125); "
        f"loaded in {loaded - started:.1f} s, predicted in {seconds:.1f} s"
    )
    return len(found) > 0


def _assigns_classes(folder: Path) -> bool:
    """Assign the pixels of the image that comes with StarDist to classes."""
    import numpy as np
    from stardist.data import test_image_nuclei_2d

    from nucseg.inference.semantic.predictor import load_semantic

    started = time.perf_counter()
    predictor = load_semantic(folder)
    loaded = time.perf_counter()
    found = predictor.predict(test_image_nuclei_2d(), name="the demonstration's image")
    seconds = time.perf_counter() - loaded
    names = predictor.bundle.model.classes
    shares = np.bincount(found.classes.ravel(), minlength=len(names)) / found.classes.size
    listed = ", ".join(f"{100 * share:.0f} % {name}" for name, share in zip(names, shares, strict=True) if share)
    click.echo(f"{listed} in the demonstration image; loaded in {loaded - started:.1f} s, predicted in {seconds:.1f} s")
    return True


def _classifies(folder: Path) -> bool:
    """Classify a patch of one colour."""
    import numpy as np

    from nucseg.inference.mitoses.predictor import load_classifier

    started = time.perf_counter()
    classifier = load_classifier(folder)
    loaded = time.perf_counter()
    patch = np.full((1, classifier.patch_size, classifier.patch_size, 3), 200, np.uint8)
    (probability,) = classifier.classify(patch)
    click.echo(
        f"an empty patch is {classifier.classes[1]} with probability {probability:.3f}; "
        f"loaded in {loaded - started:.1f} s, classified in {time.perf_counter() - loaded:.1f} s"
    )
    return bool(np.isfinite(probability))
