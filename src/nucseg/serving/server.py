"""The server as a process."""

import logging
import signal
import sys
from contextlib import nullcontext
from functools import partial

import uvicorn
from fastapi import FastAPI

from nucseg.serving.service import build_service, set_up_logging
from nucseg.serving.settings import Settings
from nucseg.serving.web.app import create_app
from nucseg.serving.web.connections import BoundedConnection, open_files
from nucseg.serving.worker.children import worker_processes

_LOCAL = ("127.0.0.1", "localhost", "::1")
_log = logging.getLogger(__name__)


def run_server(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then finish pending requests and stop.

    Raises:
        ModelError: The default model does not exist.
        ConfigError: Database or storage cannot be used.
    """
    set_up_logging(settings)
    service = build_service(settings)
    has_tasks = bool(service.plane.models.answers.CONTRACT.files)
    app = create_app(service, background=partial(worker_processes, settings) if has_tasks else nullcontext)
    # uvicorn ends with the signal that it received; this turns that into an ordinary exit.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if settings.api_key is None and settings.host not in _LOCAL:
        _log.warning(
            "Everyone who can reach %s may use the service: set NUCSEG_API_KEY to restrict access.", settings.host
        )
    uvicorn.Server(server_config(app, settings)).run()


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """Create uvicorn's configuration.

    Args:
        app: From `create_app`.
        settings: The address, and the time to finish pending requests at the end.
    """
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=BoundedConnection,
        ws="none",
        backlog=open_files() // 8,  # connections that are accepted together need room, too
        access_log=False,  # the application writes its own, with request ids
        server_header=False,
        log_config=None,
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )
