"""Train models on a GPU machine without TensorFlow: Keras on JAX, patches prepared in processes.

    python benchmarks/train_on_gpu.py pack SAMPLES.csv PACK         # images of the train split, first weights
    python benchmarks/train_on_gpu.py fit PACK OUT JOB:PROCESSES:MINUTES... --minutes 8   # on the GPU machine
    python benchmarks/train_on_gpu.py take OUT/JOB.json SAMPLES.csv FOLDER [--weights ema]   # thresholds, model folder

Patches, augmentation, targets, networks, losses and the optimiser are those of `kedro run`; what differs is the
backend, and that the running mean of the weights (`ema`) is kept beside the last ones. Jobs joined by `+` share their
patches. The shipped `unet` and `marks` were trained with the jobs of these names; `stardist` and `mask_rcnn` are to be
shipped, and the others are rows of the study (docs/models.md). Weights come back in half precision, one file for each
kind that a job keeps.
"""

import argparse
import json
import math
import os
import pickle
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import gpu_absent  # noqa: F401 - first
import numpy as np
from gpu_feed import Feed, make_targets_of
from gpu_jobs import JOBS, Job, augmenter, sampling_config, training_config
from numpy.typing import NDArray

from nucseg.core.types import Sample
from nucseg.images.preprocessing import Preprocessor
from nucseg.images.transforms import Normalize
from nucseg.training import patches
from nucseg.training.config import TrainingConfig
from nucseg.training.patches import PatchSource

COMPILING = 120.0  # seconds; then the job begins again, without any autotuning
NOT_COMPILED = 75  # exit status
# With the autotuner of fusions, one kernel of Mask R-CNN was still being compiled after seven minutes.
QUICK_TO_COMPILE = (
    "--xla_gpu_autotune_level=1 --xla_gpu_enable_triton_gemm=false --xla_gpu_experimental_enable_fusion_autotuner=false"
)


def pack(samples_csv: Path, out: Path) -> None:
    """Write the images of the train split, and the weights from which jobs start, as one file."""
    from nucseg.datasets.manifest import read_manifest
    from nucseg.images.io import read_image, read_labels
    from nucseg.models.backbones.efficientnet_lite import build_trunk, take_imagenet
    from nucseg.models.bundle import ModelBundle

    trunk = build_trunk(3, 16)
    take_imagenet(trunk)
    starts = {}
    for folder in {job.start for job in JOBS.values() if job.start}:
        bundle = ModelBundle.load(Path(folder))
        weights = [array.astype(np.float16) for array in bundle.model.keras_model.get_weights()]
        starts[folder] = (bundle.model.config.architecture(), weights)
    samples = [sample for sample in read_manifest(samples_csv) if sample.split == "train"]
    content = pickle.dumps({
        "samples": [asdict(sample) for sample in samples],
        "images": [_lossless(read_image(sample.image_path)) for sample in samples],
        "labels": [zlib.compress(read_labels(sample.label_file()).astype(np.uint16).tobytes()) for sample in samples],
        "trunk": trunk.get_weights(),
        "starts": starts,
    })  # fmt: skip
    out.write_bytes(content)


def _lossless(image: NDArray[np.uint8]) -> bytes:
    encoded = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, 101])[1]  # above 100: lossless
    return bytes(encoded)


def _unpacked(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a pack with its images decoded, each with its label image."""
    images = []
    for facts, image, labels in zip(content["samples"], content["images"], content["labels"], strict=True):
        mode = cv2.IMREAD_UNCHANGED if facts["channels"] == 3 else cv2.IMREAD_GRAYSCALE
        decoded = cv2.imdecode(np.frombuffer(image, np.uint8), mode)
        images.append((decoded, np.frombuffer(zlib.decompress(labels), np.uint16).reshape(decoded.shape[:2])))
    return {**content, "images": images}


def _draw(count: int) -> dict[str, Any]:
    """Draw images of ablation marks, and list them as samples."""
    from nucseg.datasets.drawn_marks.draw import draw_marks

    images, samples = [], []
    for seed in range(count + count // 20):
        images.append(draw_marks(seed))
        split = "train" if seed < count else "val"
        facts = {"image_id": str(seed), "dataset": "drawn_marks", "split": split, "modality": "brightfield"}
        shape = {"height": 512, "width": 512, "channels": 1, "image_path": Path(), "label_path": Path()}
        unknown = dict.fromkeys(("magnification", "test_class", "n_nuclei", "median_diameter_px"))
        samples.append({**facts, **shape, **unknown})
    return {"samples": samples, "images": images}


def fit(pack_file: Path, out: Path, names: str, processes: int, minutes: float) -> None:
    """Train jobs that share their patches; write the weights that each keeps (`OUT/NAME.WHICH.npz`) and its history."""
    began = time.perf_counter()
    jobs = {name: JOBS[name] for name in names.split("+")}
    shared = next(iter(jobs.values()))
    content = _unpacked(pickle.loads(pack_file.read_bytes()))
    config = training_config(shared)
    if shared.drawn:
        content |= _draw(shared.drawn)
    source = _patches(content, shared, config)
    targets = [make_targets_of(job) for job in jobs.values()]

    def item(epoch: int, place: int) -> list[NDArray]:
        image, truth = source.draw(np.random.default_rng((config.seed, epoch, place)))
        return [image.astype(np.float16), *(array for of_job in targets for array in of_job(truth))]

    feed = Feed(item, config, processes)
    _log(f"{names}: patches ready after {time.perf_counter() - began:.0f} s")

    import keras
    from gpu_trainer import Trainer, batches_on_device

    keras.utils.set_random_seed(config.seed)
    _initialise_by_numpy(keras, config.seed)
    trainers = [Trainer(name, job, out, content) for name, job in jobs.items()]
    ends = np.cumsum([len(of_job(np.zeros((config.patch_size, config.patch_size), np.int32))) for of_job in targets])
    fitted = 0.0
    history: list[dict[str, dict[str, float]]] = []
    for step, (x, *rest) in enumerate(batches_on_device(feed)):
        parts = [rest[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
        if not fitted:
            for trainer, part in zip(trainers, parts, strict=True):
                trainer.start_compiling(x, part)
            try:
                for trainer in trainers:
                    trainer.compiled(COMPILING)
            except TimeoutError:
                _log(f"{names}: not compiled after {COMPILING} s")
                feed.stop()
                os._exit(NOT_COMPILED)  # the threads cannot be stopped
            fitted = time.perf_counter()
            _log(f"{names}: compiled after {fitted - began:.0f} s")
        left = minutes * 60 - (fitted - began)
        done = (time.perf_counter() - fitted) / left if left > 0 else 1.0
        if done >= 1:
            break
        for trainer, part in zip(trainers, parts, strict=True):
            trainer.step(x, part, step, done)
        if (step + 1) % config.steps_per_epoch == 0:
            epoch, seconds = (step + 1) // config.steps_per_epoch, time.perf_counter() - began
            history.append({name: {"epoch": epoch, "seconds": seconds, "loss": trainer.mean_loss()}
                            for name, trainer in zip(jobs, trainers, strict=True)})  # fmt: skip
            for trainer in trainers:
                trainer.end_of_epoch(epoch)
            if epoch < 3 or epoch % 10 == 0:
                _log(" ".join(f"{name} {numbers}" for name, numbers in history[-1].items()))
    for (name, job), trainer in zip(jobs.items(), trainers, strict=True):
        trainer.write_kept()
        record = {
            "job": name,
            "device": trainer.device,
            "seconds": time.perf_counter() - began,
            "steps": len(history) * config.steps_per_epoch,
            "training": training_config(job).model_dump(),
            "history": [numbers[name] for numbers in history],
        }
        (out / f"{name}.json").write_text(json.dumps(record))
        _log(f"{name}: {record['steps']} steps in {record['seconds']:.0f} s")


def _log(text: str) -> None:
    print(text, flush=True)


def _patches(content: dict[str, Any], job: Job, config: TrainingConfig) -> PatchSource:
    """Create the source of the training patches, with all images in memory before processes are forked."""
    read = {facts["dataset"] + "/" + facts["image_id"]: image
            for facts, image in zip(content["samples"], content["images"], strict=True)}  # fmt: skip
    patches.read_image = lambda path: read[path][0]  # type: ignore[assignment]
    patches.read_labels = lambda path: read[path][1].astype(np.int32)  # type: ignore[assignment]
    samples = [Sample(**facts) for facts in content["samples"] if facts["split"] == "train"]
    samples = [Sample(**{**asdict(s), "image_path": s.key, "label_path": s.key}) for s in samples]
    source = patches.make_patches(
        samples,
        Preprocessor((Normalize(axis=job.axis),), 3),
        augmenter(job),
        config.model_copy(update={"cache_mb": 8192}),
        sampling_config(job),
        held_out=False,
    )
    for index in range(len(source)):
        source.load(index)
    return source


def _initialise_by_numpy(keras: Any, seed: int) -> None:
    """Draw initial weights with NumPy: JAX compiles a program for each shape, which takes longer than a short job."""
    rng = np.random.default_rng(seed)

    def glorot(self: Any, shape: tuple[int, ...], dtype: Any = None) -> NDArray:
        field = math.prod(shape[:-2])
        limit = math.sqrt(6 / (field * sum(shape[-2:]))) if len(shape) > 1 else 0.0
        return rng.uniform(-limit, limit, shape).astype(np.float32)

    keras.initializers.GlorotUniform.__call__ = glorot
    keras.initializers.Zeros.__call__ = lambda self, shape, dtype=None: np.zeros(shape, dtype or "float32")


def fit_all(pack_file: Path, out: Path, jobs: list[str], lanes: int, minutes: float) -> None:
    """Train jobs in processes of their own, several at once; what does not begin in time is left out."""
    began = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    logs = Path(tempfile.mkdtemp())
    environment = {**os.environ, "KERAS_BACKEND": "jax", "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
                   "OMP_NUM_THREADS": "1"}  # fmt: skip

    def run(job: str, flags: str = QUICK_TO_COMPILE) -> None:
        name, processes, own = [*job.split(":"), "", ""][:3]
        left = min(minutes - (time.perf_counter() - began) / 60, float(own or minutes))
        if left < 0.5:
            print(f"{name}: no time left", flush=True)
            return
        command = [sys.executable, __file__, "one", str(pack_file), str(out), name, processes or "3", f"{left:.2f}"]
        with (logs / f"{name}.log").open("w") as log:
            ended = subprocess.run(command, env=environment | {"XLA_FLAGS": flags}, stdout=log, stderr=log, check=False)
        tail = (logs / f"{name}.log").read_text().splitlines()[-25:]
        print(f"--- {name}: {ended.returncode}", *tail, sep="\n", flush=True)
        if ended.returncode == NOT_COMPILED and flags == QUICK_TO_COMPILE:
            run(job, flags.replace("autotune_level=1", "autotune_level=0"))

    with ThreadPoolExecutor(lanes) as pool:
        list(pool.map(run, jobs))


def _write_drawn(count: int, folder: Path) -> list[Sample]:
    """Draw the images of ablation marks again, into a folder: a record names what a model has seen by its content."""
    from nucseg.images.io import write_image, write_labels

    drawn, samples = _draw(count), []
    folder.mkdir(parents=True, exist_ok=True)
    for facts, (image, mask) in zip(drawn["samples"], drawn["images"], strict=True):
        paths = [folder / f"{facts['image_id']}.{kind}.tif" for kind in ("image", "mask")]
        write_image(paths[0], image)
        write_labels(paths[1], mask.astype(np.int32))
        samples.append(Sample(**{**facts, "image_path": paths[0], "label_path": paths[1]}))
    return samples


def _weights(record_file: Path, which: str, job: Job) -> list[NDArray[np.float32]]:
    """Read one kind of the weights that came back, or those that the job started from."""
    if which == "start":
        from nucseg.models.bundle import ModelBundle

        return list(ModelBundle.load(Path(str(job.start))).model.keras_model.get_weights())
    with np.load(record_file.with_suffix(f".{which}.npz")) as arrays:
        return [arrays[key].astype(np.float32) for key in arrays]


def take(record_file: Path, samples_csv: Path, folder: Path, which: str) -> None:
    """Choose the thresholds of trained weights on the val split, and write the model folder with its record.

    Args:
        record_file: What `fit` wrote, beside the weights.
        samples_csv: The manifest; where images were drawn, the folder that they are written to.
        folder: The model's.
        which: `last`, `ema`, `epoch7`, `cycle1` and so on, or `start`, where the networks are the same; joined by `+`:
            the mean of several.
    """
    from nucseg.datasets.manifest import read_manifest
    from nucseg.models.bundle import ModelBundle
    from nucseg.models.registry import create_model
    from nucseg.models.run import create_run_record, data_digest, load_parent_run
    from nucseg.tasks import instances, semantic
    from nucseg.training.train import tune_thresholds

    name = record_file.stem
    job, record = JOBS[name], json.loads(record_file.read_text())
    config = training_config(job)
    samples: Sequence[Sample] = _write_drawn(job.drawn, samples_csv) if job.drawn else read_manifest(samples_csv)
    used = [sample for split in ("train", "val") for sample in samples if sample.split == split]
    model = create_model(job.model, {**job.architecture, "pretrained": None})
    parts = [_weights(record_file, each, job) for each in which.split("+")]
    model.keras_model.set_weights([np.mean(same, axis=0) for same in zip(*parts, strict=True)])
    transforms = (Normalize(axis=job.axis),)
    settings = {
        "model": {**job.architecture, "pretrained": job.start or job.architecture.get("pretrained")},
        "sampling": sampling_config(job).model_dump(mode="json"),
        "training": {**config.model_dump(mode="json"), "weights": which, "backend": "jax"},
        "preprocessing": [transform.model_dump(mode="json") for transform in transforms],
        "augmentation": augmenter(job).to_dict(),
    }
    run = create_run_record(
        used,
        parameters=settings,
        seed=config.seed,
        precision="bfloat16" if job.policy == "mixed_bfloat16" else "float32",
        device=record["device"],
        history=record["history"],
        data_sha256=data_digest(used),
        parent_run=load_parent_run(job.start),
    )
    task = semantic if job.model == "unet" else instances
    bundle = tune_thresholds(
        ModelBundle(name if job.drawn else job.model, model, transforms, run), samples, task.training()
    )
    bundle.save(folder)
    scores = bundle.run.content()["validation"]
    print(json.dumps({"job": name, "weights": which, **scores}))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("pack")
    one.add_argument("samples", type=Path)
    one.add_argument("pack", type=Path)
    one = commands.add_parser("fit")
    one.add_argument("pack", type=Path)
    one.add_argument("out", type=Path)
    one.add_argument("jobs", nargs="+", metavar="JOB[+JOB…][:PROCESSES[:MINUTES]]", help=", ".join(JOBS))
    one.add_argument("--lanes", type=int, default=4, help="trainings at once")
    one.add_argument("--minutes", type=float, default=8, help="time limit of all")
    one = commands.add_parser("one")
    one.add_argument("pack", type=Path)
    one.add_argument("out", type=Path)
    one.add_argument("job")
    one.add_argument("processes", type=int)
    one.add_argument("minutes", type=float)
    one = commands.add_parser("take")
    one.add_argument("record_file", type=Path)
    one.add_argument("samples", type=Path)
    one.add_argument("folder", type=Path)
    one.add_argument("--weights", default="last", help="last, ema, epoch7, cycle1, …, start; joined by +: their mean")
    given = parser.parse_args()
    if given.command == "pack":
        pack(given.samples, given.pack)
    elif given.command == "fit":
        fit_all(given.pack, given.out, given.jobs, given.lanes, given.minutes)
    elif given.command == "one":
        fit(given.pack, given.out, given.job, given.processes, given.minutes)
    else:
        take(given.record_file, given.samples, given.folder, given.weights)


if __name__ == "__main__":
    main()
