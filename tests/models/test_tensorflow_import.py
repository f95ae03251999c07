"""The import of a TensorFlow that only writes lines, in separate processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

NOISE = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795631441.803560    7709 cudart_stub.cc:31] Could not find cuda drivers on your machine.
I0000 00:00:1795631441.911714    7709 cpu_feature_guard.cc:227] This TensorFlow binary is optimized.
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow.
2025-09-17 14:44:05.157831: I external/local_xla/xla/tsl/cuda/cudart_stub.cc:32] Could not find cuda drivers.
"""
QUERY = "E0000 00:00:1795631450.857932    7709 cuda_platform.cc:52] failed call to cuInit: UNKNOWN ERROR (303)\n"
FAKE = f"""
import os
os.write(2, {NOISE!r}.encode())
os.write(2, b"other words\\n")
try:
    import pandas
except ImportError:
    pandas = None
class config:
    def list_physical_devices(kind):
        os.write(2, {QUERY!r}.encode())
        return []
"""
PREPARED = (
    "from nucseg.models import tensorflow_import as t; t._NVIDIA = (); t.prepare_tensorflow(); import tensorflow; "
)


def run(folder: Path, program: str, fake: str = FAKE, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "tensorflow.py").write_text(fake)
    path = os.pathsep.join([str(folder), *filter(None, sys.path)])
    own = {"PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "2"} | variables
    return subprocess.run(
        [sys.executable, "-c", program], env=os.environ | own, capture_output=True, text=True, check=False
    )


def test_the_lines_of_a_good_import_are_left_out_and_no_others(tmp_path):
    ended = run(tmp_path, PREPARED + "import os; os.write(2, b'E0000 later\\n'); print(tensorflow.__loader__)")
    assert ended.returncode == 0
    assert ended.stderr == "other words\nE0000 later\n"
    assert "SourceFileLoader" in ended.stdout


@pytest.mark.parametrize("level", ["0", "1"])
def test_whoever_asks_for_the_lines_gets_them(tmp_path, level):
    ended = run(tmp_path, PREPARED, TF_CPP_MIN_LOG_LEVEL=level)
    assert ended.stderr == NOISE + "other words\n" + QUERY


def test_a_failed_import_shows_its_cause(tmp_path):
    ended = run(tmp_path, PREPARED, FAKE + "raise ImportError('no libtensorflow')\n")
    assert ended.returncode == 1
    assert ended.stderr.startswith(NOISE + "other words\n")
    assert ended.stderr.endswith("ImportError: no libtensorflow\n")


def test_a_gpu_that_is_not_used_is_explained(tmp_path):
    program = PREPARED.replace("_NVIDIA = ()", "_NVIDIA = (t.Path.cwd(),)")
    lines = run(tmp_path, program).stderr.splitlines()
    assert "no GPU" in lines[0]
    assert QUERY.strip() in lines


def test_a_processor_without_avx_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "cpuinfo").write_text("model name: Old CPU\nflags: fpu sse\n")
    replaced = f"from nucseg.core import processor as p; p._CPU_INFO = p.Path({str(tmp_path / 'cpuinfo')!r}); "
    machine = "import platform; platform.machine = lambda: 'x86_64'; "
    ended = run(tmp_path, replaced + machine + PREPARED)
    assert ended.returncode == 1
    assert "ConfigError: TensorFlow needs a processor with AVX; Old CPU has none." in ended.stderr


def test_what_a_prediction_does_not_use_is_hidden_for_that_long_only(tmp_path):
    after = "import gc, pandas; print(tensorflow.pandas, gc.isenabled())"
    ended = run(tmp_path, PREPARED.replace("tensorflow()", "tensorflow(lean=True)") + after)
    assert (ended.returncode, ended.stdout) == (0, "None True\n")
    assert run(tmp_path, PREPARED + "print(tensorflow.pandas is None)").stdout == "False\n"
