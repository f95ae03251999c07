"""A training as a job: `nucseg train` in a process of its own, which can be ended and leaves no memory behind."""

import json
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nucseg.core.errors import InputError
from nucseg.models.registry import models_folder
from nucseg.serving.jobs.schema import Job

COMMAND = (sys.executable, "-m", "nucseg", "train", "--until-input-ends")
REPORT, SCORES = "report.html", "scores.json"
"""The files of the result."""

_PAUSE = 0.5  # seconds
_SHOWN = ("n_images", "f1_50", "ap_50", "ap_mean_50_90")


def train(
    job: Job, upload: Path, results: Path, start: Path, progress: Callable[[float], None]
) -> tuple[int, list[Path]]:
    """Train a model on with corrected images, and measure both on images held out.

    Args:
        job: The job, with the name of the new model and the time for it.
        upload: A zip with the folders `images` and `labels`.
        results: An empty folder for the files of the result.
        start: Folder of the model to start from.
        progress: Called repeatedly with the fraction of the time that is over; an exception that it raises ends the
            training.

    Returns:
        The number of nuclei in the images held out, and the files: REPORT and SCORES, which holds the models' names,
        their scores on these images, and whether the new one is at least as good (None if that cannot be said).

    Raises:
        InputError: The images do not suffice, or there is a model of this name already.
    """
    folder = upload.parent / "training"
    with zipfile.ZipFile(upload) as archive:
        archive.extractall(folder)
    name, minutes = str(job.training), float(job.minutes or 1)
    command = [*COMMAND, str(folder / "images"), str(folder / "labels"), "--from", str(start), "--name", name]
    command += ["--minutes", str(minutes), "-o", str(folder / "report")]
    log, made = folder / "log", models_folder() / name
    is_new = not made.exists()
    started = time.monotonic()
    with (
        log.open("wb") as file,
        # It ends with this process, whose end closes the pipe; Ctrl+C in a terminal is the worker's to answer.
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        ) as process,
    ):
        try:
            while process.poll() is None:
                progress(min(0.99, (time.monotonic() - started) / (60 * minutes)))
                time.sleep(_PAUSE)
        finally:
            process.kill()
    # Images that were left out also give an exit status of 1.
    if not ((folder / "report" / REPORT).is_file() and (made / "config.json").is_file()):
        if is_new:  # a model without scores, which would be in the way of the next attempt
            shutil.rmtree(made, ignore_errors=True)
        raise _failure(log.read_text(errors="replace"))
    before, after = (
        json.loads((folder / "report" / model / "metrics.json").read_text()) for model in (start.name, name)
    )
    (folder / "report" / REPORT).rename(results / REPORT)
    scores = _scores(before, after)
    (results / SCORES).write_text(json.dumps(scores))
    return int(after["overall"]["n_true"]), [results / REPORT, results / SCORES]


def _scores(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    from nucseg.finetuning.train import better  # imports TensorFlow

    shown = [{"model": each["model"], **{name: each["overall"][name] for name in _SHOWN}} for each in (before, after)]
    return {"before": shown[0], "after": shown[1], "better": better(before, after)}


def _failure(log: str) -> Exception:
    """Return what the command said as the user's fault, or else as a defect."""
    said = [line.removeprefix("Error: ") for line in log.splitlines() if line.startswith("Error: ")]
    return InputError(said[-1]) if said else RuntimeError(f"the training ended: {log[-2000:]}")
