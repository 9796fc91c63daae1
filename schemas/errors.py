"""Errors that a person can act on: what was expected, what came, where, how to mend it.

One class a kind, one exit code a class; the command line prints the message and never a traceback.
Exit code 1 stays for faults of our own, 2 for wrong usage of the command line.
"""


class ProficioError(Exception):
    """Base of all expected errors. `hint` says how to mend it."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class SettingsError(ProficioError):
    """A setting, environment variable or framework file is wrong."""

    exit_code = 3


class InputError(ProficioError):
    """Input data cannot be read, or records in it were refused."""

    exit_code = 4


class UnavailableError(ProficioError):
    """A service that is needed (Kafka, a clone URL, Prefect) does not answer or refuses."""

    exit_code = 5


class QualityError(ProficioError):
    """A batch failed a quality gate; nothing of it was published, nothing was lost."""

    exit_code = 6


class StorageError(ProficioError):
    """A disk is full or read-only, or a stored file is damaged."""

    exit_code = 7
