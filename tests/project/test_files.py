import re
from pathlib import Path

import pytest

TEXT = {".cfg", ".html", ".ipynb", ".j2", ".lock", ".md", ".py", ".toml", ".txt", ".yaml", ".yml", ""}


@pytest.fixture(scope="module")
def texts(project_files: list[Path]) -> dict[Path, str]:
    return {file: file.read_text() for file in project_files if file.suffix in TEXT and "dvc-store" not in file.parts}


def test_no_absolute_path_of_a_machine(texts: dict[Path, str]) -> None:
    path = re.compile(r"(?:^|[^A-Za-z0-9_.])/(?:work|farm|root)/", re.MULTILINE)

    assert [str(file) for file, text in texts.items() if path.search(text)] == []


def test_no_address_of_a_package_index(texts: dict[Path, str]) -> None:
    address = re.compile(r"pypi[.]org|pythonhosted[.]org|registry[.]npmjs|deb[.]debian[.]org")

    assert [str(file) for file, text in texts.items() if file.suffix != ".md" and address.search(text)] == []


def test_no_option_that_kedro_calls_deprecated(texts: dict[Path, str]) -> None:
    old = re.compile(r"--" + r"pipeline\b")

    assert [str(file) for file, text in texts.items() if old.search(text)] == []


def test_no_large_file_outside_the_store_of_models(project_files: list[Path]) -> None:
    large = [file for file in project_files if file.stat().st_size > 2_000_000 and "dvc-store" not in file.parts]

    assert large == []


def test_telemetry_is_refused(root: Path) -> None:
    assert (root / ".telemetry").read_text().strip() == "consent: false"


def test_licence_is_apache(root: Path) -> None:
    text = (root / "LICENSE").read_text()

    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
