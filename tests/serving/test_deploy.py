"""The files that put the service somewhere: as far as they can be checked without a cluster."""

import json
import os
import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from nucseg.serving.decoding import _OVERHEAD
from nucseg.serving.settings import Settings

ROOT = Path(__file__).parents[2]
# Bytes as measured (docs/serving.md): of a process with its model; of the tiles of a task that are worked on at a time;
# of a pixel predicted at once; of one of a task.
PROCESS, TILES, PREDICTED, OF_TASK = 1300 << 20, 1400 << 20, 60, 2
SHUTDOWN = Settings.model_fields["shutdown_timeout"].default


@pytest.fixture(scope="module")
def manifests():
    return {each["kind"]: each for each in yaml.safe_load_all((ROOT / "nucseg.yaml").read_text())}


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def nucseg_variables(names) -> set[str]:
    return {name.removeprefix("NUCSEG_").lower() for name in names if name.startswith("NUCSEG_")}


def test_the_manifest_is_what_kubernetes_takes(manifests) -> None:
    assert set(manifests) == {"Deployment", "Service"}
    for version in ("1.30", kubernetes_validate.latest_version()):
        for manifest in manifests.values():
            kubernetes_validate.validate(manifest, version, strict=True)


def test_service_and_deployment_belong_together(manifests) -> None:
    service, template = manifests["Service"]["spec"], manifests["Deployment"]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert service["type"] == "NodePort"
    assert service["selector"].items() <= template["metadata"]["labels"].items()
    (port,) = service["ports"]
    (inside,) = container["ports"]
    assert (port["port"], port["targetPort"]) == (5000, inside["name"])
    assert inside["containerPort"] == Settings.model_fields["port"].default
    assert nucseg_variables(each["name"] for each in container["env"]) <= set(Settings.model_fields)


def test_the_pod_is_probed_and_bounded(manifests, serve) -> None:
    spec = manifests["Deployment"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    server = serve()
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert server.get(container[probe]["httpGet"]["path"]).status_code == 200
    assert {"requests", "limits"} <= set(container["resources"])
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["terminationGracePeriodSeconds"] >= 2 * SHUTDOWN
    inside = container["securityContext"]
    assert inside["readOnlyRootFilesystem"]
    assert not inside["allowPrivilegeEscalation"]
    assert inside["capabilities"]["drop"] == ["ALL"]
    # All that the service writes lies on a volume.
    written = [Path(Settings.model_fields[name].default.removeprefix("sqlite:///")) for name in ("database", "storage")]
    mounts = [Path(each["mountPath"]) for each in container["volumeMounts"]]
    assert all(any((Path("/app") / path).is_relative_to(mount) for mount in mounts) for path in written)


def test_without_its_secret_no_pod_starts(manifests) -> None:
    (container,) = manifests["Deployment"]["spec"]["template"]["spec"]["containers"]
    (key,) = [each for each in container["env"] if each["name"] == "NUCSEG_API_KEY"]
    assert not key["valueFrom"]["secretKeyRef"].get("optional")


def test_the_limits_and_the_memory_of_the_pod_belong_together(manifests) -> None:
    """Whoever raises a limit has to raise the memory; `benchmarks/serving_memory.py` measures what it takes."""
    (container,) = manifests["Deployment"]["spec"]["template"]["spec"]["containers"]
    memory = int(container["resources"]["limits"]["memory"].removesuffix("Gi")) << 30
    settings = Settings(_env_file=None)
    decoding = (settings.max_decode_mb << 20) + _OVERHEAD
    server = PROCESS + settings.threads * max(decoding, settings.max_pixels * PREDICTED)
    worker = PROCESS + max(decoding, TILES + settings.max_task_pixels * OF_TASK)
    assert server + settings.workers * worker <= memory


def test_compose_has_server_workers_and_database(compose) -> None:
    assert compose["serve"]["ports"] == ["5000:5000", "8000:5000"]
    assert compose["serve"]["command"] == "nucseg serve"
    assert compose["worker"]["command"] == "nucseg worker"
    assert "ports" not in compose["postgres"]
    for name in ("serve", "worker"):
        environment = compose[name]["environment"]
        assert nucseg_variables(environment) <= set(Settings.model_fields)
        assert environment["NUCSEG_DATABASE"].endswith("@postgres/nucseg")
        assert compose[name]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert compose["serve"]["environment"]["NUCSEG_DATABASE"] == compose["worker"]["environment"]["NUCSEG_DATABASE"]
    assert compose["serve"]["environment"]["NUCSEG_STORAGE"] == compose["worker"]["environment"]["NUCSEG_STORAGE"]
    assert seconds(compose["serve"]["stop_grace_period"]) >= 2 * SHUTDOWN
    assert seconds(compose["worker"]["stop_grace_period"]) >= SHUTDOWN


def seconds(duration: str) -> int:
    return int(duration[:-1]) * {"s": 1, "m": 60}[duration[-1]]


def test_several_machines_share_database_and_bucket(monkeypatch) -> None:
    """What `test_several_machines.py` runs is what this file describes."""
    services = yaml.safe_load((ROOT / "deploy/several-machines/docker-compose.yml").read_text())["services"]
    servers = [each for each in services.values() if each.get("command") == "nucseg serve"]
    workers = [each for each in services.values() if each.get("command") == "nucseg worker"]
    assert len(servers) == 2
    assert [each["deploy"]["replicas"] for each in workers] == [3]
    assert len({each["ports"][0] for each in servers}) == 2
    for each in servers + workers:
        environment = each["environment"]
        assert environment == services["bucket"]["environment"]
        assert nucseg_variables(environment) <= set(Settings.model_fields)
        assert environment["NUCSEG_STORAGE"].startswith("s3://nucseg/")
        assert environment["NUCSEG_DATABASE"].endswith("@postgres/nucseg")
        assert {name for name in environment if name.startswith("AWS_")} == {
            "AWS_ENDPOINT_URL",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_DEFAULT_REGION",
        }
        assert seconds(each["stop_grace_period"]) >= 2 * SHUTDOWN
    for name in ("postgres", "s3"):
        assert "ports" not in services[name]
    assert services["bucket"]["command"].endswith(" nucseg")


def test_the_image_serves() -> None:
    last = (ROOT / "Dockerfile").read_text().strip().splitlines()[-1]
    assert json.loads(last.removeprefix("CMD ")) == ["nucseg", "serve"]
    assert "NUCSEG_HOST=0.0.0.0" in (ROOT / "Dockerfile").read_text()


def test_the_template_of_env_says_every_setting() -> None:
    expected = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "") else field.default
        expected += [f"# {field.description}", f"# NUCSEG_{name.upper()}={default}"]
    lines = [line for line in (ROOT / ".env.template").read_text().splitlines() if line]
    assert lines[1:] == expected


def test_ecs_takes_the_task_definition(aws, monkeypatch) -> None:
    import boto3

    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)
    definition = json.loads((ROOT / "deploy/ecs/task-definition.json").read_text())
    made = boto3.client("ecs").register_task_definition(**definition)["taskDefinition"]
    (container,) = made["containerDefinitions"]
    from nucseg.cli import cli

    command = container["command"]
    assert command[:2] == ["nucseg", "worker"]
    shown = CliRunner().invoke(cli, ["worker", "--help"]).output
    assert all(option in shown for option in command if option.startswith("--"))
    assert nucseg_variables(each["name"] for each in container["environment"]) <= set(Settings.model_fields)


@pytest.mark.parametrize("layout", ["one model", "a folder each", "none"])
def test_sagemakers_argument_serve(tmp_path, layout) -> None:
    """The script that SageMaker calls, with a stand-in for `nucseg` that shows what it was given."""
    (tmp_path / "nucseg").write_text('#!/bin/sh\necho "$@"\nenv | grep NUCSEG_\n')
    (tmp_path / "nucseg").chmod(0o755)
    model = tmp_path / "model"
    if layout != "none":
        place = model if layout == "one model" else model / "stardist"
        place.mkdir(parents=True)
        (place / "config.json").write_text("{}")
    script = ROOT / "deploy/sagemaker/serve"
    assert os.access(script, os.X_OK)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    answer = subprocess.run([script], env={"PATH": path, "SM_MODEL_DIR": str(model)}, capture_output=True, check=True)
    lines = answer.stdout.decode().splitlines()
    given = dict(line.split("=", 1) for line in lines[1:])
    assert lines[0] == "serve"
    assert given["NUCSEG_PORT"] == "8080"
    assert given.get("NUCSEG_MODEL") == (str(model) if layout == "one model" else None)
    assert given.get("NUCSEG_MODELS") == (str(model) if layout == "a folder each" else None)
    assert nucseg_variables(given) <= set(Settings.model_fields)


def test_ci_brings_postgresql_and_asks_for_it() -> None:
    text = (ROOT / ".ci/run").read_text()
    assert re.search(r"missing\+=\(postgresql\)", text)
    assert re.search(r"required\+=,seaweedfs", text)
    assert re.search(r"required=postgresql\n(.*\n)+export NUCSEG_REQUIRE=\$required", text)
