"""Moving what a receiver keeps from files of the data folder to the PostgreSQL that several receivers share."""

from dataclasses import dataclass

from connectors import shared_state
from connectors.locks import locked
from flows.opening import KEYS, server
from flows.settings import Settings
from schemas.errors import InputError, SettingsError


@dataclass(frozen=True)
class Copied:
    """How many rows were copied."""

    rows: int


def copy_state(settings: Settings) -> Copied:
    """Copy statements, clients, platforms, consents, who was erased, attachments and keys to `state.url`, all or nothing.

    The files stay as they are. SettingsError where `state` names no server, InputError where it holds something already,
    UnavailableError while a receiver serves from the files.
    """
    if not settings.state.url:
        raise SettingsError(
            "state.url names no server to copy to.",
            "Set it in proficio.toml, such as postgresql://proficio@db/proficio.",
        )
    where = server(settings)
    with locked(settings.home / "receiver.lock", 0, f"A receiver serves from {settings.home}."):
        if shared_state.holds_anything(where):
            raise InputError(
                "The PostgreSQL at state.url holds something already.",
                "Copy before the first receiver starts there; to begin anew, drop its schema proficio_state.",
            )
        return Copied(shared_state.fill(where, settings.home, KEYS))
