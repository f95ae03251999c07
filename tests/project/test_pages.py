"""The commands of pages, run as a new user would: in a fresh copy, in the page's order, without network."""

import csv
import inspect
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image
from skimage.data import immunohistochemistry

from aws_server import aws_server, free_port
from nucseg.inference.engine import TileSteps
from nucseg.models.protocols import InstanceSegmenter
from nucseg.tasks.base import Task

ROOT = Path(__file__).parents[2]
PREDICT = "docs/predict.md"
LIST = runpy.run_path(str(ROOT / "docs/list_commands.py"))
SHORT = {
    "architecture": {"n_rays": 8, "decoder_filters": [8, 8, 8, 8], "net_conv_after_unet": 8, "refine_filters": 8},
    "training": {"patch_size": 64, "batch_size": 2, "steps_per_epoch": 2, "epochs": 1, "validation_patches": 2},
}


def commands(page: str, title: str | None = None) -> list[str]:
    """Return the commands of a page's blocks with the title, or of those without a title."""
    found = []
    for block in LIST["blocks"]():
        if (block.page, block.language, block.title) == (page, "bash", title) and "http://localhost" not in block.text:
            found += block.commands()
    return [command for command in found if LIST["ELSEWHERE"].get(command, page) == page]


def files_outside_the_demo(project: Path) -> set[Path]:
    """List the files but those of the demo, of git, DVC and kedro viz, and the models, which `make run` pulls."""
    demo = project / "data" / "demo"
    pulled = [project / ".git", project / ".dvc", project / ".viz", project / "data" / "06_models"]
    return {
        file.relative_to(project)
        for file in project.rglob("*")
        if file.is_file()
        and not {demo, *pulled} & set(file.parents)
        and "__pycache__" not in file.parts
        and ".venv" not in file.parts
    }


def run(project: Path, script: list[str], **variables: str) -> None:
    """Run commands in a copy of the project, as one script that stops where something fails."""
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    home = project.parent / "home"
    home.mkdir()
    own = {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "no_proxy": "127.0.0.1",
        "NO_PROXY": "127.0.0.1",
        "DVC_SITE_CACHE_DIR": str(home / "site-cache"),
    }
    answer = subprocess.run(
        [sys.executable, ROOT / "tests/project/one_process.py", "\n".join(script)],
        cwd=project,
        env=os.environ | nowhere | own | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout[-4000:] + answer.stderr[-4000:]


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start a server that speaks S3 and has the bucket `bucket`, in a separate process; return its URL."""
    import boto3

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    known = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    with aws_server(tmp_path / "aws.log") as url:
        boto3.client("s3", endpoint_url=url, **known).create_bucket(Bucket="bucket")
        yield url


def test_every_command_is_run_or_says_why() -> None:
    assert 0 < len(LIST["not_run"]()) <= LIST["MOST"]


def test_the_list_names_the_tests_that_run_the_pages(root: Path) -> None:
    found = list(LIST["blocks"]())

    assert {block.page for block in found if block.title is None} <= LIST["TESTS"].keys()
    for page, tests in LIST["TESTS"].items():
        assert all(page in (root / test).read_text() for test in tests), page
    # No title and no command is left over.
    assert {block.title for block in found} - {None} == LIST["TITLES"].keys()
    assert LIST["ELSEWHERE"].keys() <= {command for block in found for command in block.commands()}


@pytest.mark.parametrize("block", ['```bash title="no time"\nmake\n```\n', "```console\nmake\n```\n"])
def test_a_block_that_nothing_runs_is_an_error(tmp_path: Path, block: str) -> None:
    copy = tmp_path / "docs/list_commands.py"
    copy.parent.mkdir()
    shutil.copy(ROOT / "docs/list_commands.py", copy)
    (tmp_path / "README.md").write_text(block)
    ended = subprocess.run([sys.executable, copy], capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "README.md: a block " in ended.stderr
    assert "Traceback" not in ended.stderr


def test_too_many_commands_that_nothing_runs_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = LIST["not_run"]
    monkeypatch.setitem(listed.__globals__, "MOST", 3)
    with pytest.raises(ValueError, match=r"\d+ commands of the pages are run by no test; 3 may be"):
        listed()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_first_page_works(project_copy: Path) -> None:
    # One of the two trainings is enough to see that the demonstration trains.
    file = project_copy / "conf/demo/parameters/model_config.yml"
    parameters = yaml.safe_load(file.read_text())
    parameters["mask_rcnn"]["training"] |= {"steps_per_epoch": 2, "epochs": 1}
    file.write_text(yaml.safe_dump(parameters))
    before = files_outside_the_demo(project_copy)
    run(project_copy, commands("docs/index.md"))

    expected = {
        "01_raw/archives.json",
        "03_primary/samples.csv",
        "03_primary/rejected.csv",
        "03_primary/images/demo/bottom_right.tif",
        "03_primary/labels/demo/bottom_right.tif",
        "05_model_input/augmenter.json",
        "05_model_input/augmentation_preview.png",
        "06_models/stardist/config.json",
        "06_models/stardist/thresholds.json",
        "06_models/stardist/run.json",
        "07_model_output/stardist/labels/demo/bottom_right.tif",
        "06_models/mask_rcnn/config.json",
        "07_model_output/mask_rcnn/submission.csv",
        "08_reporting/mask_rcnn/metrics.json",
        "07_model_output/stardist/submission.csv",
        "07_model_output/stardist/coco.json",
        "08_reporting/stardist/metrics.json",
        "08_reporting/stardist/per_image.csv",
        "08_reporting/stardist/imgs/demo/bottom_right.png",
        "08_reporting/report.html",
    }
    demo = project_copy / "data/demo"
    assert expected <= {file.relative_to(demo).as_posix() for file in demo.rglob("*")}
    reporting = demo / "08_reporting"
    metrics = json.loads((reporting / "stardist" / "metrics.json").read_text())
    assert metrics["overall"]["f1_50"] > 0.7
    assert (reporting / "report.html").stat().st_size > 10_000
    # The demonstration writes below data/demo and nowhere else.
    assert files_outside_the_demo(project_copy) == before


@pytest.mark.slow
def test_images_of_ones_own_are_a_dataset(project_copy: Path, draw_nuclei: Callable) -> None:
    """The page; then, with one image more and a training of two steps, the commands of all pages that take hours."""
    hours = ("needs the internet and hours", "takes hours", "needs BBBC038 on disk")
    for kind, pixels in zip(("images", "labels"), draw_nuclei((96, 96), n=8, seed=1), strict=True):
        (project_copy / "more" / kind).mkdir(parents=True)
        tifffile.imwrite(project_copy / "more" / kind / "drawn.tif", pixels)
    (project_copy / "short.yml").write_text(yaml.safe_dump({"stardist": SHORT}))
    script = [
        *commands("docs/own-data.md"),
        "cp data/08_reporting/stardist/metrics.json shipped.json",
        "cp -r more/. my_images; echo drawn,val,, >> my_images/samples.csv",
        "for env in cpu local; do cp short.yml conf/$env/parameters/model_config.yml; done",
        *[command for title in hours for page in LIST["TESTS"] for command in commands(page, title)],
    ]
    run(project_copy, script)

    primary = project_copy / "data" / "03_primary"
    with (primary / "samples.csv").open() as file:
        rows = {row["image_id"]: row for row in csv.DictReader(file)}
    drawn = {"fluorescence": 52, "histology": 76, "drawn": 8}
    assert {name: int(row["n_nuclei"]) for name, row in rows.items()} == drawn
    assert {name: row["split"] for name, row in rows.items()} == {
        "fluorescence": "train",
        "histology": "test",
        "drawn": "val",
    }
    assert rows["histology"]["modality"] == "histology"
    assert (primary / "labels/own/histology.tif").is_file()
    shipped = json.loads((project_copy / "shipped.json").read_text())
    assert shipped["n_images"] == 1
    assert shipped["overall"]["f1_50"] > 0.5
    run_record = json.loads((project_copy / "data/06_models/mine/run.json").read_text())
    assert run_record["splits"]["val"] == ["own/drawn"]
    # benchmarks/results.py has brought the scores of this training into the table.
    assert "| Images (`n_images`) | count | 1 |" in (project_copy / "README.md").read_text()


def own_images(project: Path) -> None:
    """Write the images that docs/predict.md takes for a user's own."""
    image = tifffile.imread(project / "samples/fluorescence.tif")[:128, :128]
    for name in ("slide.ome.tif", "slides/a.tif", "slides/b.tif", "more/of/c.tif"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(project / name, image)
    Image.fromarray((image >> 8).astype(np.uint8)).save(project / "image.png")
    channels = {"axes": "CYX", "Channel": {"Name": ["GFP", "DAPI"]}}
    for name in ("stack.ome.tif", "A01.ome.tif"):
        tifffile.imwrite(project / name, np.stack([image * 0, image]), metadata=channels)
    for name in ("A01_DAPI.tif", "A01_GFP.tif"):
        tifffile.imwrite(project / name, image, resolution=(2e4, 2e4), resolutionunit="CENTIMETER")
    Image.fromarray(immunohistochemistry()[240:400, 200:360]).save(project / "ihc.png")


@pytest.mark.slow
def test_images_are_predicted_with_the_shipped_model(
    project_copy: Path, aws: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nucseg.models.precision import use_precision

    page = (project_copy / "docs/predict.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    own_images(project_copy)
    anew = "rm -rf results"
    put = "import s3fs, sys; s3 = s3fs.S3FileSystem(s3_additional_kwargs={'ACL': 'public-read'}); "
    put += "s3.put('made/zarr/slide.ome.zarr', 'bucket/slide.ome.zarr', recursive=True); s3.put('image.png', 'bucket/')"
    remote = [
        command.replace("https://example.org", f"{aws}/bucket") for command in commands(PREDICT, "needs a bucket")
    ]
    scheduler, worker, predict = (
        command.replace("10.0.0.1", "127.0.0.1").replace("8786", str(port))
        for port in [free_port()]
        for command in commands("docs/clusters.md", "on three machines")
    )
    script = [
        *commands("README.md"),
        *[line for each in commands(PREDICT, "examples with files of your own") for line in (anew, each)],
        "nucseg predict slide.ome.tif -o made --format zarr",
        f'python -c "{put}"',
        *remote,
        *(f"{scheduler} &", f"{worker} &", "trap 'kill $(jobs -p)' EXIT", anew, predict),
        anew,
        *commands("docs/look.md"),
        *commands("docs/registration.md"),
        anew,
        *commands(PREDICT),
    ]
    credentials = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    run(project_copy, script, AWS_ENDPOINT_URL=aws, **credentials)

    geojson = json.loads((project_copy / "results/geojson/fluorescence.geojson").read_text())
    drawn = 52
    assert 0.8 * drawn <= len(geojson["features"]) <= 1.2 * drawn
    for name in (
        "results/labels/fluorescence.tif",
        "results/table/fluorescence.parquet",
        "results/table/fluorescence.csv",
    ):
        assert (project_copy / name).is_file()
    with (project_copy / "data/07_model_output/inference/summary.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 2
    names: dict[str, Any] = {}
    monkeypatch.chdir(project_copy)
    try:
        exec(program, names)
    finally:
        use_precision("float32")  # as before
    assert len(names["found"].scores) == len(geojson["features"])


@pytest.mark.slow
def test_versions_of_models_go_through_a_bucket(project_copy: Path, aws: str) -> None:
    """The commands of a team: only the training is left to other tests, and a note in the model stands for it."""
    page = "docs/models-versioning.md"
    config = project_copy / "conf/base/aws/config"
    config.write_text(re.sub(r"(?m)^# endpoint_url = .*$", f"endpoint_url = {aws}", config.read_text()))
    credentials = project_copy / "conf/local/aws/credentials"
    credentials.parent.mkdir(parents=True)
    credentials.write_text("[nucseg]\naws_access_key_id = a\naws_secret_access_key = b\n")
    begin = """
        git config --global user.name tests; git config --global user.email tests@example.org
        git add .; git commit --quiet --message Start; git branch --move main; git tag v1
        git init --quiet --bare ../origin; git remote add origin ../origin; git push --quiet --set-upstream origin main
    """
    script = "\n".join(commands(page)).replace("BUCKET/PREFIX", "bucket/models").replace("checkout TAG", "checkout v1")
    train, others = "dvc add data/06_models/ours\n", "git fetch --tags\n"
    assert script.count(train) == script.count(others) == 1
    script = script.replace(
        train, f"cp -r data/06_models/stardist data/06_models/ours\necho note > data/06_models/ours/note.txt\n{train}"
    )
    script = script.replace(others, f"git clone --quiet ../origin ../others; cd ../others\n{others}")
    run(project_copy, [begin, script], AWS_EC2_METADATA_DISABLED="true")

    model = project_copy.parent / "others/data/06_models/ours"
    assert (model / "note.txt").read_text() == "note\n"
    assert (model / "model.weights.h5").is_file()


def test_a_clone_is_set_up_for_changes(project_copy: Path) -> None:
    run(project_copy, commands("docs/contributing.md"))

    hooks = project_copy / ".git/hooks"
    assert all("pre-commit" in (hooks / name).read_text() for name in ("pre-commit", "pre-push"))


def test_the_protocols_of_the_design_are_those_of_the_code() -> None:
    names: dict[str, Any] = {"__name__": __name__}
    for block in LIST["blocks"]():
        if (block.page, block.language) == ("docs/design.md", "python"):
            exec(block.text, names)

    for protocol in (InstanceSegmenter, Task, TileSteps):
        written = inspect.getmembers(names[protocol.__name__], inspect.isfunction)
        built = inspect.getmembers(protocol, inspect.isfunction)
        assert [name for name, _ in written] == [name for name, _ in built]
