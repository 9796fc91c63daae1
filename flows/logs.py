"""One logger: Prefect's run logger inside a flow run, a plain one outside. As lines, or as JSON for what gathers logs."""

import logging
import os
import sys
from typing import Any, Literal

from pythonjsonlogger.json import JsonFormatter

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


def write_logs(form: Literal["text", "json"]) -> None:
    """Write what is logged as it is, or as JSON objects on standard error; what Prefect logs too, once it is imported."""
    _quiet_libraries()
    if form == "json":
        handler = logging.StreamHandler()
        handler.setFormatter(_json())
        logging.getLogger().handlers = [handler]
        logging.getLogger("proficio").setLevel(logging.INFO)
        os.environ["PREFECT_LOGGING_LEVEL"] = "INFO"


def write_prefect_logs_alike() -> None:
    """Give Prefect's own handlers the form that `write_logs` chose."""
    if any(isinstance(handler.formatter, JsonFormatter) for handler in logging.getLogger().handlers):
        for name in ("prefect", "prefect.flow_runs", "prefect.task_runs"):
            for handler in logging.getLogger(name).handlers:
                if isinstance(handler, logging.StreamHandler):
                    handler.setFormatter(_json())


def _quiet_libraries() -> None:
    """Leave out what kafka-python and stamina say of each try while nothing answers: our own errors say it once."""
    for name in ("kafka", "stamina"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _json() -> JsonFormatter:
    """One object a line: when, how grave, what, of which run. Fields that a record does not have are left out."""
    return _OfRun(
        "%(asctime)s %(levelname)s %(name)s %(message)s",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
    )  # fmt: skip


class _OfRun(JsonFormatter):
    """Keeps of Prefect's fields those by which the lines of a run are found."""

    _KEPT = frozenset({"message", "time", "level", "logger", "exc_info", "flow_run_id", "flow_run_name", "task_run_id",
                       "task_run_name", "statement_id"})  # fmt: skip

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """The fields of a line."""
        return {name: value for name, value in log_data.items() if name in self._KEPT}


class _WithHint(logging.Filter):
    """Expected errors end on what mends them, and not on a traceback, which says nothing more."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], ProficioError):
            record.msg, record.args = f"{record.getMessage()} {record.exc_info[1].hint}".rstrip(), ()
            record.exc_info = None
        return True


def quiet_expected_errors() -> None:
    """Keep tracebacks of `ProficioError` out of Prefect's run logs, and let these say what mends it."""
    write_prefect_logs_alike()
    _quiet_libraries()
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_WithHint())
