"""What DVC says when S3 refuses or is not there: one message, no traceback, and a status that is not 0."""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
PAGE = Path(__file__).parents[2] / "docs/models-versioning.md"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in a clone; the rest is right."""

    keys: str | None = "team"
    secret: str | None = None
    profile: str = "nucseg"
    bucket: str | None = None
    reachable: bool = True


FAULTS = {
    "no credentials": (Fault(keys=None), "Unable to locate credentials"),
    "no such profile": (Fault(profile="nobody"), "The config profile (nobody) could not be found"),
    "wrong secret": (Fault(secret="x" * 40), "Forbidden"),
    "no rights": (Fault(keys="stranger"), "Forbidden"),
    "bucket not set": (Fault(bucket="<bucket>"), 'Invalid bucket name "<bucket>"'),
    "no bucket": (Fault(bucket="no-such-bucket"), "The specified bucket does not exist"),
    "no network": (Fault(reachable=False), "Could not connect to the endpoint URL"),
}
# A pull asks for files by name, and S3 answers the same whether the file or its whole bucket is missing.
MISSING = "do not exist neither locally nor on remote"


@pytest.fixture(scope="module")
def without_model(clone: Callable) -> Any:
    return clone("s3")


@pytest.fixture(scope="module")
def with_model(clone: Callable) -> Any:
    filled = clone("bundled")
    filled.do("dvc", "pull")
    return filled


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize("action", ["push", "pull"])
@pytest.mark.parametrize("case", FAULTS)
def test_a_clear_message_and_a_status(
    request: pytest.FixtureRequest, s3_server: Any, closed_port: int, case: str, action: str
) -> None:
    fault, said = FAULTS[case]
    if (case, action) == ("no bucket", "pull"):
        said = MISSING
    checkout = request.getfixturevalue("with_model" if action == "push" else "without_model")
    credentials = checkout.folder / "conf/local/aws/credentials"
    credentials.unlink(missing_ok=True)
    if fault.keys:
        keys = getattr(s3_server, fault.keys)
        checkout.sign_in(keys if fault.secret is None else type(keys)(keys.name, fault.secret))
    checkout.use_server(s3_server.url if fault.reachable else f"http://127.0.0.1:{closed_port}")
    bucket = fault.bucket or s3_server.bucket
    (checkout.folder / ".dvc/config.local").write_text(f"['remote \"s3\"']\n    url = s3://{bucket}/nucseg\n")

    ended = checkout.run("dvc", action, "--remote", "s3", aws=True, AWS_PROFILE=fault.profile)

    assert ended.returncode not in (0, None)
    assert said in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    assert not (checkout.folder / "data/06_models/stardist").exists() or action == "push"


@pytest.mark.parametrize("said", sorted({said for _, said in FAULTS.values()} | {MISSING}))
def test_the_documentation_lists_the_message(said: str) -> None:
    words = re.sub(r"\(nobody\)", "(…)", said)

    assert words in PAGE.read_text()
