"""The server as a process."""

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
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        access_log=False,  # the application writes its own, with request ids
        server_header=False,
        log_config=None,
        timeout_graceful_shutdown=settings.shutdown_timeout,
    )
