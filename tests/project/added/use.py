"""Use what was added to the copy of the package in the working directory; print what came of it as JSON.

python use.py ARCHIVE
"""

import json
import runpy
import sys
from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner
from kedro.config import OmegaConfigLoader

import nucseg
from nucseg.cli import cli
from nucseg.datasets.config import DownloadConfig, ProcessingConfig
from nucseg.datasets.download import download_datasets
from nucseg.datasets.manifest import samples_from_frame
from nucseg.datasets.processing import assign_splits, convert_datasets
from nucseg.images.io import write_image, write_labels
from nucseg.images.transforms import Normalize
from nucseg.models.bundle import ModelBundle
from nucseg.models.registry import MODELS, create_model
from nucseg.models.run import RunRecord
from nucseg.params import EvaluationConfig, check_parameters
from nucseg.pipeline_registry import register_pipelines
from nucseg.reporting.html import ModelReport, render_report
from nucseg.tasks import task_of

project = Path.cwd()
said = {"package": nucseg.__file__, "page": runpy.run_path("docs/describe_parameters.py")["describe"]()}

archives = download_datasets(DownloadConfig(datasets="dots", dots={"url": sys.argv[1]}), project / "data/01_raw")
*_, chunk = convert_datasets(archives, ProcessingConfig(transforms=()))
said["rejected"] = chunk.rejected.to_dict("records")
samples = samples_from_frame(assign_splits(chunk.converted, ProcessingConfig(transforms=())), project / "samples.csv")
for sample in samples:
    sample.image_path.parent.mkdir(parents=True, exist_ok=True)
    sample.label_file().parent.mkdir(parents=True, exist_ok=True)
    write_image(sample.image_path, chunk.images[sample.key])
    write_labels(sample.label_file(), chunk.labels[sample.key])
said["samples"] = {sample.key: sample.n_nuclei for sample in samples}

parameters = check_parameters(
    OmegaConfigLoader("conf", env="cpu", base_env="base", merge_strategy={"parameters": "soft"})["parameters"], []
)
model = create_model("brightness", parameters.of_model("brightness").architecture.model_dump())
ModelBundle("brightness", model, (Normalize(pmin=0, pmax=100),)).save(project / "data/06_models/brightness")
said["models"] = list(MODELS)
said["pipelines"] = [name for name in register_pipelines() if name == "brightness"]

command = ["predict", str(samples[0].image_path), "--model", "brightness", "--scale", "1", "--output", "results"]
answer = CliRunner().invoke(cli, [*command, "--format", "centres"])
said["predict"] = answer.output if answer.exit_code else ""
said["centres"] = Path("results/centres", f"{samples[0].image_id}.csv").read_text()

task = task_of("brightness")
predict = task.predictor(ModelBundle.load(project / "data/06_models/brightness"), EvaluationConfig(precision="float32"))
images = ((sample, task.read_truth(sample), predict(sample)) for sample in samples)
metrics, per_image, *tables = task.evaluate("brightness", images, EvaluationConfig())
said["metrics"] = metrics
report = ModelReport(metrics, per_image, RunRecord(), **dict(zip(task.TABLES, tables, strict=True)))
said["report"] = render_report([report], datetime.now(UTC))
sys.stdout.write(json.dumps(said))
