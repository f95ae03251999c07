"""The server as a process."""

import signal
import sys
from functools import partial

import uvicorn

from nucseg.serving.logs import set_up_logging
from nucseg.serving.service import build_service
from nucseg.serving.settings import Settings
from nucseg.serving.web.app import create_app
from nucseg.serving.worker.children import worker_processes


def run_server(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then answer what was asked and stop.

    Raises:
        ModelError: The default model does not exist.
        ConfigError: Database or storage cannot be used.
    """
    set_up_logging(settings)
    app = create_app(build_service(settings), beside=partial(worker_processes, settings))
    # uvicorn ends with the signal that it got; this makes that an ordinary end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        access_log=False,  # the application writes its own, with request ids
        server_header=False,
        log_config=None,
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )
