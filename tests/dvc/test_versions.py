"""Two tagged versions of a model, pushed to both remotes, come back on a fresh clone."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nucseg.core import package
from nucseg.core.errors import ModelError
from nucseg.models import registry
from nucseg.models.bundle import ModelBundle

pytestmark = pytest.mark.slow


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_versions_differ(versions: dict[str, Path]) -> None:
    v1, v2 = (files_of(versions[tag]) for tag in ("v1", "v2"))
    assert v1.keys() == v2.keys()
    assert v1["model.weights.h5"] != v2["model.weights.h5"]


@pytest.mark.parametrize(
    "remote, command",
    [
        ("bundled", ["dvc", "pull"]),
        ("s3", ["dvc", "pull", "--remote", "s3"]),
    ],
)
def test_a_tag_brings_its_version(clone: Callable, versions: dict[str, Path], remote: str, command: list) -> None:
    fresh = clone(remote)
    model = fresh.folder / "data/06_models/stardist"
    assert not model.exists()

    for tag in ("v1", "v2"):
        fresh.do("git", "checkout", "--quiet", tag)
        fresh.do(*command, aws=remote == "s3")
        assert files_of(model) == files_of(versions[tag])
        assert ModelBundle.load(model).run.content() == {"version": tag}


def test_s3_as_the_default_of_one_clone(clone: Callable, versions: dict[str, Path]) -> None:
    fresh = clone("s3")
    fresh.do("dvc", "remote", "default", "--local", "s3")
    fresh.do("git", "checkout", "--quiet", "v1")

    fresh.do("dvc", "pull", aws=True)

    assert files_of(fresh.folder / "data/06_models/stardist") == files_of(versions["v1"])


def test_git_sees_pointers_and_the_store_but_neither_models_nor_credentials(published: Any) -> None:
    tracked = published.do("git", "ls-files").splitlines()

    assert "data/06_models/stardist.dvc" in tracked
    assert any(name.startswith("dvc-store/files/md5/") for name in tracked)
    assert (published.folder / "conf/local/aws/credentials").is_file()
    assert [name for name in tracked if name.startswith(("data/06_models/stardist/", "conf/local/aws"))] == []
    assert published.do("git", "status", "--porcelain") == ""


def test_a_model_that_was_not_added_is_not_overwritten(clone: Callable) -> None:
    fresh = clone("bundled")
    fresh.do("dvc", "pull")
    mine = fresh.folder / "data/06_models/stardist/thresholds.json"
    mine.write_text("{}")

    fresh.do("git", "checkout", "--quiet", "v1")
    answer = fresh.run("dvc", "pull")

    assert answer.returncode != 0
    assert "--force" in answer.stderr
    assert mine.read_text() == "{}"


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Return a function that makes a clone the only place where models are looked for."""

    def enter(folder: Path) -> None:
        monkeypatch.chdir(folder)
        monkeypatch.delenv("NUCSEG_MODELS", raising=False)
        monkeypatch.setattr(package, "FOLDER", folder / "src/nucseg")

    return enter


def test_a_version_of_the_bundled_store_needs_no_pull(
    clone: Callable, versions: dict[str, Path], elsewhere: Callable
) -> None:
    fresh = clone("bundled")
    elsewhere(fresh.folder)
    for tag in ("v1", "v2"):
        fresh.do("git", "checkout", "--quiet", tag)
        assert files_of(registry.resolve_model("stardist")) == files_of(versions[tag])
    assert not (fresh.folder / "data/06_models/stardist").exists()
    assert fresh.do("git", "status", "--porcelain") == ""


def test_a_model_is_found_after_the_pull_and_the_message_before_it_says_so(
    clone: Callable, elsewhere: Callable
) -> None:
    fresh = clone("s3")
    elsewhere(fresh.folder)
    with pytest.raises(ModelError, match=r"'stardist' is versioned with DVC .*stardist\.dvc.* run `dvc pull` in"):
        registry.resolve_model("stardist")

    # Where the message says.
    fresh.do("dvc", "pull", "--remote", "s3", folder="data/06_models", aws=True)

    assert registry.resolve_model("stardist") == fresh.folder / "data/06_models/stardist"


def test_a_pulled_model_is_evaluated_without_training(clone: Callable, versions: dict[str, Path]) -> None:
    fresh = clone("s3")
    fresh.do("git", "checkout", "--quiet", "v1")
    fresh.do("dvc", "pull", "--remote", "s3", aws=True)
    script = """
        kedro run --env cpu --pipelines data_download,data_processing --params data_download.datasets=demo
        kedro run --pipelines stardist --tags model_validation
    """
    fresh.do(sys.executable, str(Path(__file__).parents[1] / "project/one_process.py"), script)

    data = fresh.folder / "data"
    assert json.loads((data / "08_reporting/stardist/run.json").read_text()) == {"model": "stardist", "version": "v1"}
    metrics = json.loads((data / "08_reporting/stardist/metrics.json").read_text())
    assert metrics["n_images"] == 1
    # It was trained on drawn nuclei, which are smaller: it finds some of these.
    assert metrics["overall"]["n_true"] == 29
    assert metrics["overall"]["f1_50"] > 0.1
    assert files_of(data / "06_models/stardist") == files_of(versions["v1"])
    assert not (data / "06_models/.training").exists()
    assert "up to date" in fresh.do("dvc", "status")
