"""A repository with two tagged versions of a model, and an S3 server that checks who asks."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aws_server import aws_server
from nucseg.images.transforms import parse_transforms
from nucseg.models.bundle import ModelBundle
from nucseg.models.registry import create_model
from nucseg.models.run import RunRecord

ROOT = Path(__file__).parents[2]
# What a clone has of the project, as far as these tests need it.
PROJECT = (
    ".dvc/config",
    ".dvc/.gitignore",
    ".dvcignore",
    ".gitattributes",
    ".gitignore",
    ".telemetry",
    "pyproject.toml",
)
# Nothing answers here: a command that should need no network shows it when it does.
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Keys:
    """An access key of the S3 server."""

    name: str
    secret: str


@dataclass(frozen=True)
class S3Server:
    """A running S3 server.

    Attributes:
        url: Where it listens.
        bucket: The only bucket there is.
        team: May do everything.
        stranger: Is known but may do nothing.
    """

    url: str
    bucket: str
    team: Keys
    stranger: Keys


@dataclass(frozen=True)
class Checkout:
    """A working copy of the repository, in a session of its own."""

    folder: Path

    def run(
        self, *command: str, folder: str = ".", aws: bool = False, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a user would.

        Args:
            *command: The command.
            folder: Where, within the working copy.
            aws: Whether the user has exported what the documentation says; without it nothing of AWS is known, and
                no network is there.
            **variables: Further environment variables.
        """
        home = self.folder.parent
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(home / "site-cache"),
            "GIT_AUTHOR_NAME": "tests",
            "GIT_AUTHOR_EMAIL": "tests@example.org",
            "GIT_COMMITTER_NAME": "tests",
            "GIT_COMMITTER_EMAIL": "tests@example.org",
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            # Far wider than any message, so that none is wrapped.
            "COLUMNS": "1000",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            environment |= {name: "" if aws else NOWHERE, name.upper(): "" if aws else NOWHERE}
        if aws:
            # One try instead of several over half a minute.
            environment |= documented_exports(self.folder) | {"AWS_MAX_ATTEMPTS": "1"}
        return subprocess.run(
            command,
            cwd=self.folder / folder,
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def do(self, *command: str, **how: Any) -> str:
        """Run a command that must succeed; return what it printed."""
        answer = self.run(*command, **how)
        assert answer.returncode == 0, f"{' '.join(command)}: {answer.stdout}{answer.stderr}"
        return answer.stdout

    def clone(self, folder: Path) -> "Checkout":
        """Clone what is committed into a new folder, with its own home and nothing in DVC's caches."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.do("git", "clone", "--quiet", str(self.folder), str(folder))
        return Checkout(folder)

    def sign_in(self, keys: Keys) -> None:
        """Write conf/local/aws/credentials as `aws configure` does."""
        file = self.folder / "conf/local/aws/credentials"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"[nucseg]\naws_access_key_id = {keys.name}\naws_secret_access_key = {keys.secret}\n")

    def use_server(self, url: str) -> None:
        """Name the S3 server in conf/base/aws/config, by the line that stands there for it."""
        file = self.folder / "conf/base/aws/config"
        text, count = re.subn(r"(?m)^#? ?endpoint_url = .*$", f"endpoint_url = {url}", file.read_text())
        assert count == 1
        file.write_text(text)


def documented_exports(folder: Path) -> dict[str, str]:
    """Return the variables that docs/models-versioning.md tells users to export in the project's folder."""
    page = (ROOT / "docs/models-versioning.md").read_text()
    exports = re.findall(r'^export (\w+)="?([^"\n]+)"?$', page, re.MULTILINE)
    return {name: value.replace("$PWD", str(folder)) for name, value in exports}


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Start an S3 server on a free port of this machine; it checks signatures and rights."""
    import boto3
    import requests

    bucket = "team-models"
    # Not through a proxy of this machine, if it has one.
    with aws_server(tmp_path_factory.mktemp("s3") / "log") as url:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("no_proxy", "127.0.0.1")
            client = {
                "endpoint_url": url,
                "region_name": "eu-central-1",
                "aws_access_key_id": "root",
                "aws_secret_access_key": "root",
            }
            iam = boto3.client("iam", **client)
            keys = []
            for user in ("team", "stranger"):
                iam.create_user(UserName=user)
                key = iam.create_access_key(UserName=user)["AccessKey"]
                keys.append(Keys(key["AccessKeyId"], key["SecretAccessKey"]))
            everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
            policy = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
            iam.put_user_policy(UserName="team", PolicyName="models", PolicyDocument=policy)
            location = {"LocationConstraint": "eu-central-1"}
            boto3.client("s3", **client).create_bucket(Bucket=bucket, CreateBucketConfiguration=location)
            # From now on no request passes without a valid signature.
            requests.post(f"{url}/moto-api/reset-auth", data="0", timeout=10).raise_for_status()
        yield S3Server(url, bucket, *keys)


@pytest.fixture(scope="session")
def versions(small_stardist: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write the folders of two versions of a model: by tag; the first finds nuclei, the second is untrained."""
    folder = tmp_path_factory.mktemp("versions")
    transforms = parse_transforms([{"name": "normalize"}])
    shape = {"in_channels": 1, "n_rays": 8, "unet_n_depth": 1, "unet_n_filter_base": 8, "net_conv_after_unet": 8}
    untrained = create_model("stardist", shape)
    made = {"v1": small_stardist, "v2": untrained}
    for tag, segmenter in made.items():
        ModelBundle("stardist", segmenter, transforms, RunRecord(version=tag)).save(folder / tag)
    return {tag: folder / tag for tag in made}


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server, versions: dict[str, Path]) -> Checkout:
    """Return a repository whose model has the tags v1 and v2, pushed to both remotes as the documentation says."""
    repository = Checkout(tmp_path_factory.mktemp("author") / "nucseg")
    for name in PROJECT:
        (repository.folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, repository.folder / name)
    for name in ("conf/base", "conf/cpu", "conf/demo", "src/nucseg"):
        shutil.copytree(ROOT / name, repository.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "conf/logging.yml", repository.folder / "conf/logging.yml")
    (repository.folder / "conf/local").mkdir()
    repository.sign_in(s3_server.team)
    repository.use_server(s3_server.url)
    repository.do("git", "init", "--quiet", "--initial-branch", "main")
    repository.do("dvc", "remote", "modify", "s3", "url", f"s3://{s3_server.bucket}/nucseg")
    for tag, model in versions.items():
        shutil.rmtree(repository.folder / "data/06_models/stardist", ignore_errors=True)
        shutil.copytree(model, repository.folder / "data/06_models/stardist")
        repository.do("dvc", "add", "data/06_models/stardist")
        repository.do("dvc", "push", "--remote", "bundled")
        repository.do("dvc", "push", "--remote", "s3", aws=True)
        repository.do("git", "add", ".")
        repository.do("git", "commit", "--quiet", "--message", f"Version {tag}")
        repository.do("git", "tag", "--annotate", "--message", tag, tag)
    return repository


@pytest.fixture(scope="module")
def clone(
    published: Checkout, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Checkout]:
    """Return a function that clones the repository anew; for `s3` without the bundled store, with credentials."""

    def _clone(remote: str) -> Checkout:
        fresh = published.clone(tmp_path_factory.mktemp("clone") / "nucseg")
        if remote == "s3":
            shutil.rmtree(fresh.folder / "dvc-store")
            fresh.sign_in(s3_server.team)
        return fresh

    return _clone
