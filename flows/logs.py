"""One logger: Prefect's run logger inside a flow run, a plain one outside."""

import logging
import sys
from typing import Any

from schemas.errors import ProficioError


def logger() -> Any:
    """The logger of the current Prefect run where there is one, else the logger `proficio`."""
    if "prefect" in sys.modules:
        from prefect.exceptions import MissingContextError
        from prefect.logging import get_run_logger

        try:
            return get_run_logger()
        except MissingContextError:
            pass
    return logging.getLogger("proficio")


class _WithoutTraceback(logging.Filter):
    """Expected errors say what to do; their traceback says nothing more."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], ProficioError):
            record.exc_info = None
        return True


def quiet_expected_errors() -> None:
    """Keep tracebacks of `ProficioError` out of Prefect's run logs."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_WithoutTraceback())
