"""List the commands of README.md and of the pages that no test runs, with the reason above each.

    python docs/list_commands.py

A block of commands without a title is run unchanged by the test of its page. A title states prerequisites; `TITLES`
names the test that runs such blocks nevertheless, or says that none can.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
MOST = 15
PAGES, SERVER = "tests/project/test_pages.py", "tests/serving/test_docs.py"
TESTS = {
    "README.md": (PAGES, SERVER),
    "docs/clusters.md": (PAGES,),
    "docs/contributing.md": (PAGES,),
    "docs/deployment.md": (SERVER,),
    "docs/design.md": (PAGES,),
    "docs/index.md": (PAGES,),
    "docs/look.md": (PAGES,),
    "docs/models-versioning.md": (PAGES,),
    "docs/own-data.md": (PAGES,),
    "docs/predict.md": (PAGES, "tests/commands/test_stacks.py"),
    "docs/registration.md": (PAGES,),
    "docs/serving.md": (SERVER,),
    "docs/slides.md": ("tests/commands/test_slides.py",),
    "docs/stacks.md": ("tests/commands/test_stacks.py",),
}
"""The tests that run the blocks of a page."""

TITLES: dict[str, str | None] = {
    "runs until it is stopped": SERVER,
    "runs until it is stopped; needs a DeepLab": "tests/serving/test_max_scenes.py",
    "with the server of deeplab": "tests/serving/test_max_scenes.py",
    "with the server of marks": "tests/serving/test_class_tasks.py",
    "with workers of marks": "tests/serving/test_class_tasks.py",
    "takes hours": PAGES,
    "needs the internet and hours": PAGES,
    "needs BBBC038 on disk": PAGES,
    "examples with files of your own": PAGES,
    "needs AMi-Br on disk": "tests/test_kedro_run.py",
    "needs five images": "tests/finetuning/test_train.py",
    "needs the extra export": "tests/sharing/test_export.py",
    "needs a folder of the stardist package": "tests/sharing/test_stardist_folder.py",
    "in a Python of its own": "tests/sharing/test_bioimageio.py",
    "needs the extra napari": "tests/napari_plugin/test_napari.py",
    "needs slides": "tests/commands/test_mitoses.py",
    "needs a slide": "tests/commands/test_slides.py",
    "needs stacks": "tests/commands/test_stacks.py",
    "needs images of ablation marks": "tests/commands/test_register.py",
    "needs files of microscopes": "tests/commands/test_stacks.py",
    "on three machines": PAGES,
    "takes minutes; it also runs this page": ".ci/run",
    "takes a minute": "tests/project/test_wheel.py",
    "needs a trained model and an idle machine": None,
    "needs the internet": None,
    "takes minutes; needs BBBC038": None,
    "needs a bucket": PAGES,
    "needs the AWS command line": None,
    "needs Docker": None,
    "needs Kubernetes": None,
    "needs dask-jobqueue and SLURM": None,
    "needs dask-kubernetes and a cluster": None,
    "needs dask-cloudprovider and an account": None,
}
"""The titles that there may be: what runs such blocks (a test, with little data), or None if nothing can."""

ELSEWHERE = {
    "make run": "docs/index.md",
    "kedro run": "`make run`",
    "kedro run --env demo": "`make run`",
    "kedro run --env demo --pipelines data_processing": "docs/index.md",
    "kedro run --env demo --pipelines stardist --tags model_validation": "docs/index.md",
    "kedro run --env demo --namespaces stardist": "tests/test_kedro_run.py",
    "kedro run --env cpu --pipelines stardist --params data_download.datasets=bbbc038": "tests/test_kedro_run.py",
    "kedro run --env cpu --pipelines stardist --params data_download.datasets=bbbc038,"
    "data_download.bbbc038.url=stage1_train.zip": "tests/test_kedro_run.py",
    "kedro viz run": "tests/test_kedro_viz.py",
    "kedro run --pipelines stardist --params stardist.name=ours": "docs/own-data.md",
    "kedro run --pipelines stardist --tags model_validation": "docs/own-data.md",
    "make lint": "`make test`",
    "pytest tests/metrics": "`make test`",
}
"""Commands that the test of a page leaves out, as they are run already: by the test of another page or by another test,
with other data where their own take hours."""


class Block(NamedTuple):
    """A block of commands.

    Attributes:
        page: Its path in the project.
        language: `bash` or `python`.
        title: What stands above it, or None.
        text: The block.
    """

    page: str
    language: str
    title: str | None
    text: str

    def commands(self) -> list[str]:
        """Return the commands of a shell, without comments and line breaks; Python is one command."""
        if self.language == "python":
            return [self.text]
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        return [line for line in (re.sub(r"(^|\s+)# .*", "", line) for line in lines) if line]


def blocks() -> Iterator[Block]:
    """Find the blocks of all pages.

    Raises:
        ValueError: A title or a language is not known.
    """
    block = re.compile(r'^```(bash|sh|shell|console|python)(?: title="([^"]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        page = str(file.relative_to(ROOT))
        for language, title, text in block.findall(file.read_text("utf-8")):
            found = Block(page, language, title or None, text)
            if language not in ("bash", "python"):
                raise ValueError(f"{page}: a block is called {language}; call it bash, so that the tests run it.")
            if title and title not in TITLES:
                raise ValueError(f"{page}: a block has the title {title!r}, which TITLES in {__file__} does not know.")
            yield found


def not_run() -> list[tuple[str, str, str]]:
    """List page, reason and command for commands that no test runs.

    Raises:
        ValueError: A title or a language is not known, or these are too many.
    """
    found = [
        (block.page, block.title, command)
        for block in blocks()
        if block.title and TITLES[block.title] is None
        for command in block.commands()
    ]
    if len(found) > MOST:
        raise ValueError(f"{len(found)} commands of the pages are run by no test; {MOST} may be: {found}")
    return found


def main() -> None:
    """Print the list, or the error."""
    try:
        found = not_run()
    except ValueError as error:
        sys.exit(str(error))
    sys.stdout.writelines(f"{page} ({reason}): {command.splitlines()[0]}\n" for page, reason, command in found)
    sys.stdout.write(f"No test runs these {len(found)} commands; {MOST} may be.\n")


if __name__ == "__main__":
    main()
