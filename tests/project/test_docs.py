import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from kedro.framework.cli import project as kedro_cli

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<img[^>]+src=\"([^\"]+)\"")


def heading_anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings as MkDocs and GitHub make them."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_internal_links_lead_somewhere(project_files: list[Path]) -> None:
    broken = []
    for page in (file for file in project_files if file.suffix == ".md"):
        text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for link in (first or second for first, second in LINK.findall(text)):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            if not target.exists() or (anchor and anchor not in heading_anchors(target.read_text())):
                broken.append(f"{page}: {link}")

    assert broken == []


def test_kedro_is_called_by_options_that_it_keeps(root: Path, project_files: list[Path]) -> None:
    deprecated = set(re.findall(r"Option '(--[a-z-]+)' is deprecated", inspect.getsource(kedro_cli)))
    assert {"--" + "pipeline", "--async"} <= deprecated
    options = {option for each in kedro_cli.run.params if not deprecated & set(each.opts) for option in each.opts}
    called = [
        (file.relative_to(root), option)
        for file in project_files
        if file.suffix in (".md", ".yml", ".py", ".ipynb", "") and root / "tests" not in file.parents
        for command in re.findall(r"kedro run((?:[^\n`\\]|\\\n)*)", file.read_text("utf-8", errors="ignore"))
        for option in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", command)
    ]
    assert {option for _, option in called} > {"--env", "--pipelines", "--tags", "--params"}
    assert [each for each in called if each[1] not in options] == []


def test_every_page_is_in_the_navigation(root: Path) -> None:
    # MkDocs' own tags are of no interest here.
    config = yaml.load((root / "mkdocs.yml").read_text(), Loader=yaml.BaseLoader)
    named = {page for entry in config["nav"] for page in entry.values()}

    assert named == {str(page.relative_to(root / "docs")) for page in (root / "docs").rglob("*.md")}


def test_the_site_builds_strictly(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="needs the extra 'docs' (`make setup-dev` installs it)")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stderr
    page = (tmp_path / "index.html").read_text()
    # Also without the internet: what the search needs lies in the site.
    scripts = re.findall(r"<script[^>]* src=\"?([^\" >]+)", page)
    assert any("iframe-worker" in script for script in scripts)
    assert all((tmp_path / script).is_file() for script in scripts)
