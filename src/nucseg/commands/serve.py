"""`nucseg serve`: the models as a REST service."""

from typing import Any

import click

from nucseg.commands.options import field_options, given
from nucseg.serving.settings import PREFIX, Settings


@click.command()
@field_options(Settings, prefix=PREFIX)
def serve(**options: Any) -> None:
    """Serve the models over HTTP; the page / describes the interface.

    Every option can also be set by an environment variable or in a file .env. The API key (NUCSEG_API_KEY) can be set
    only there.
    """
    from nucseg.serving.server import run_server
    from nucseg.serving.settings import load_settings

    run_server(load_settings(**given(options)))
