from nucseg.core import processor
from nucseg.core.processor import processor_info


def test_the_first_processor_counts(tmp_path, monkeypatch):
    file = tmp_path / "cpuinfo"
    file.write_text(
        "processor\t: 0\nmodel name\t: One: fast\nflags\t\t: fpu sse\n\nprocessor\t: 1\nmodel name\t: Two\n"
    )
    monkeypatch.setattr(processor, "_CPU_INFO", file)
    assert processor_info("model name") == "One: fast"
    assert processor_info("flags").split() == ["fpu", "sse"]
    assert processor_info("bugs") == ""


def test_other_systems_say_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "_CPU_INFO", tmp_path / "none")
    assert processor_info("flags") == ""
