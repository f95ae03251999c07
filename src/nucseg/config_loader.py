"""How Kedro reads `conf`: as by default, but including `conf/local` in runs with `--env`."""

from pathlib import Path
from typing import Any, cast

from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf

_WITHOUT_LOCAL = ("base", "demo", "local")
"""Environments to which nothing is added: the demonstration is the same for everybody."""


class ConfigLoader(OmegaConfigLoader):
    """Adds `conf/local` to what `--env cpu`, or another environment of the user's own, reads.

    Kedro reads `conf/local` only if no environment is named. The order is base, environment, `conf/local` and
    `--params`; later values override earlier ones.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Read the configuration of a kind, such as `parameters`."""
        config = super().__getitem__(key)
        if key in self.data or self.environments[-1] == self._run_env:
            return config
        folder, read_variables = str(Path(self.conf_source) / "local"), key == "credentials"
        local = self.load_and_merge_dir_config(folder, self.config_patterns[key], key, set(), read_variables)
        if self.merge_strategy.get(key) != "soft":
            return config | local
        return cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.merge(config, local)))

    @property
    def environments(self) -> list[str]:
        """The folders of `conf` that count, in the order in which they are read."""
        here = [] if self._run_env in _WITHOUT_LOCAL or not (Path(self.conf_source) / "local").is_dir() else ["local"]
        return list(dict.fromkeys(["base", self._run_env, *here]))

    @property
    def _run_env(self) -> str:
        return self.env or self.default_run_env
