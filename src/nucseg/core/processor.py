"""What Linux says about the processor."""

from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")


def processor_info(key: str) -> str:
    """Return an entry of the first processor, such as `model name` or `flags`; empty on other systems than Linux."""
    if not _CPU_INFO.is_file():
        return ""
    for line in _CPU_INFO.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
