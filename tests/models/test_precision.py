import logging

import numpy as np
import pytest
import tensorflow as tf

from nucseg.core import processor as processor_module
from nucseg.core.errors import ConfigError
from nucseg.models import precision
from nucseg.models.precision import describe_device, use_precision


@pytest.fixture(autouse=True)
def _as_before():
    before = tf.config.optimizer.get_experimental_options()
    yield
    tf.config.optimizer.set_experimental_options(
        {"auto_mixed_precision_onednn_bfloat16": before.get("auto_mixed_precision_onednn_bfloat16", False)}
    )


@pytest.fixture
def processor(tmp_path, monkeypatch):
    """Pretend that the processor has these flags and that there is no GPU."""

    def pretend(flags, vendor="AuthenticAMD"):
        file = tmp_path / "cpuinfo"
        entries = {"processor": 0, "vendor_id": vendor, "model name": "Test CPU: fast", "flags": f"fpu {flags} sse"}
        file.write_text("".join(f"{name}\t: {value}\n" for name, value in entries.items()))
        monkeypatch.setattr(processor_module, "_CPU_INFO", file)
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
        monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)

    return pretend


@pytest.mark.parametrize(
    "flags, vendor",
    [("avx512_bf16", "AuthenticAMD"), ("amx_bf16", "GenuineIntel"), ("avx512_bf16 amx_bf16", "GenuineIntel")],
)
def test_auto_takes_bfloat16_where_the_processor_is_faster_in_it(processor, flags, vendor):
    processor(flags, vendor)
    assert use_precision("auto") == "bfloat16"
    assert tf.config.optimizer.get_experimental_options()["auto_mixed_precision_onednn_bfloat16"]
    assert use_precision("float32") == "float32"
    assert not tf.config.optimizer.get_experimental_options()["auto_mixed_precision_onednn_bfloat16"]


def test_auto_takes_float32_elsewhere_and_bfloat16_is_refused(processor):
    processor("avx2 avx512f")
    assert use_precision("auto") == "float32"
    with pytest.raises(ConfigError, match="neither avx512_bf16 nor amx_bf16"):
        use_precision("bfloat16")


def test_auto_takes_float32_on_intel_s_processors_without_amx_and_bfloat16_may_be_asked_for(processor):
    processor("avx512_bf16", "GenuineIntel")
    assert use_precision("auto") == "float32"
    assert not tf.config.optimizer.get_experimental_options()["auto_mixed_precision_onednn_bfloat16"]
    assert use_precision("bfloat16") == "bfloat16"
    assert tf.config.optimizer.get_experimental_options()["auto_mixed_precision_onednn_bfloat16"]


def test_float32_where_onednn_is_switched_off(processor, monkeypatch):
    processor("avx512_bf16")
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert use_precision() == "float32"
    with pytest.raises(ConfigError, match="TF_ENABLE_ONEDNN_OPTS"):
        use_precision("bfloat16")


def test_float32_where_there_is_no_processor_information(processor, monkeypatch, tmp_path):
    processor("avx512_bf16")
    monkeypatch.setattr(processor_module, "_CPU_INFO", tmp_path / "missing")
    assert use_precision() == "float32"
    assert describe_device().startswith("CPU (unknown, ")


def test_an_unknown_precision_is_refused():
    with pytest.raises(ConfigError, match=r"'half'.*auto, float32 and bfloat16"):
        use_precision("half")


def test_the_device_is_named(processor):
    processor("")
    assert describe_device().startswith("CPU (Test CPU: fast, ")


def test_a_gpu_is_named_and_computes_in_float32(processor, monkeypatch):
    processor("avx512_bf16")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu 0"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"device_name": "NVIDIA X"})
    assert describe_device() == "GPU (NVIDIA X)"
    assert use_precision("auto") == "float32"


def test_one_line_says_device_and_precision(processor, caplog, monkeypatch):
    processor("")
    monkeypatch.setattr(precision, "_logged", set())
    with caplog.at_level(logging.INFO):
        use_precision()
        use_precision()
    assert [record.getMessage().partition(" (")[0] for record in caplog.records] == ["Networks run on CPU"]
    assert caplog.records[0].getMessage().endswith("in float32.")


def test_the_precision_is_in_effect(small_stardist):
    """Also after the network was traced; where the processor has no bfloat16 there is nothing to compare."""
    image = np.random.default_rng(0).random((64, 64, 1), np.float32)

    def mean_distances():
        found = small_stardist.propose([image], {"score": 0.0})[0]
        return dict(zip(map(tuple, found.points.tolist()), found.distances.mean(1).tolist(), strict=True))

    use_precision("float32")
    full = mean_distances()
    if precision._bfloat16_obstacle() is None:
        use_precision("bfloat16")
        reduced = mean_distances()
        common = full.keys() & reduced.keys()
        assert len(common) > 0.9 * len(full)
        assert 0 < max(abs(full[point] - reduced[point]) for point in common) < 0.5
    use_precision("float32")
    assert mean_distances() == full
