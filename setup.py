"""Copies the shipped models into the wheel: the repository holds them once, in DVC's bundled store."""

import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithModels(build_py):
    """Build the package and the folders of the models that it ships."""

    def run(self) -> None:
        """Copy the modules, then the models; an editable install reads them from the store."""
        super().run()
        if self.editable_mode:
            return
        sys.path.insert(0, str(ROOT / "src"))
        from nucseg.models.shipped import WHEEL_FOLDER, unpack

        for pointer in sorted((ROOT / "data/06_models").glob("*.dvc")):
            unpack(pointer, Path(self.build_lib) / "nucseg" / WHEEL_FOLDER / pointer.stem)


setup(cmdclass={"build_py": BuildWithModels})
