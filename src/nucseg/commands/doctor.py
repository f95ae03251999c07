"""`nucseg doctor`: what this installation can do."""

import platform
from importlib.metadata import version

import click

from nucseg.core.errors import NucsegError


@click.command()
def doctor() -> None:
    """Show versions, device, precision and the models that can be used."""
    from nucseg.models.precision import describe_device, use_precision
    from nucseg.models.registry import MODELS, resolve_model

    click.echo(f"nucseg {version('nucseg')} on Python {platform.python_version()}, {platform.platform()}")
    for package in ("tensorflow", "keras", "stardist", "kedro", "albumentations", "numpy"):
        click.echo(f"{package} {version(package)}")
    click.echo(f"precision: {use_precision('auto')}")
    click.echo(f"device: {describe_device()}")
    for name in MODELS:
        try:
            click.echo(f"model {name}: {resolve_model(name)}")
        except NucsegError as error:
            click.echo(f"model {name}: {error}")
