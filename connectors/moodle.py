"""Moodle's web services (REST, JSON), for the source and the sink."""

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

from connectors.http import Api
from schemas.errors import InputError, SettingsError

_DENIED = {"invalidtoken", "accessexception", "servicenotavailable", "servicerequireslogin", "enablewsdescription"}


class MoodleRefusal(InputError):
    """An error that Moodle tells; it comes with HTTP 200."""

    def __init__(self, function: str, answer: dict[str, Any]) -> None:
        super().__init__(f"Moodle refuses {function}: {str(answer.get('message', answer['exception']))[:300]}", "")
        self.code = str(answer.get("errorcode", ""))


class WebServices:
    """The functions that a token may call. Moodle's errors are MoodleRefusal, or SettingsError where the token is the matter."""

    def __init__(self, remote: Api, token: str) -> None:
        self._remote, self._token = remote, token

    def call(self, function: str, done: Callable[[], bool] = lambda: False, **arguments: Any) -> Any:
        """The answer of a function. Before it is called again, after a failure, `done` is asked whether Moodle has done it;
        if so, the answer is None.
        """
        return self._call(function, done, arguments)[0]

    def call_at(self, function: str, **arguments: Any) -> tuple[Any, int]:
        """The answer, and when it was given: seconds since 1970, by Moodle's clock."""
        return self._call(function, lambda: False, arguments)

    def _call(self, function: str, done: Callable[[], bool], arguments: dict[str, Any]) -> tuple[Any, int]:
        form = {"wstoken": self._token, "wsfunction": function, "moodlewsrestformat": "json", **_flat("", arguments)}
        answer, headers = self._remote.post("webservice/rest/server.php", form, done=done)
        if isinstance(answer, dict) and "exception" in answer:
            refusal = MoodleRefusal(function, answer)
            if refusal.code in _DENIED:
                raise SettingsError(
                    f"{refusal} ({refusal.code})",
                    "Make a token whose service holds the functions that docs/sources/moodle.md and docs/moodle.md list.",
                )
            raise refusal
        date = headers.get("date")
        return answer, int(parsedate_to_datetime(date).timestamp()) if date else 0


def _flat(name: str, value: Any) -> dict[str, str]:
    """Nested arguments as Moodle's REST server reads them: a[0][b]=…"""
    if isinstance(value, dict):
        pairs = [(f"{name}[{key}]" if name else key, one) for key, one in value.items()]
    elif isinstance(value, list):
        pairs = [(f"{name}[{number}]", one) for number, one in enumerate(value)]
    else:
        return {name: str(value)}
    return {key: text for place, one in pairs for key, text in _flat(place, one).items()}
