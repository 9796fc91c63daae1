"""Who looks at a page: a signed token that the address carries, since a browser may keep no cookie in an LMS's frame."""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

import jwt

_ALGORITHM, _AUDIENCE = "HS256", "proficio-pages"
SECONDS = 7_200


@dataclass(frozen=True)
class Session:
    """A person (their key), the account that consents are said by, their name, the language they read.

    `course` is the (issuer, client id, context) that they came from, "" thrice where none; `teaches`: they see its people.
    """

    person: str
    account: str
    name: str = ""
    language: str = ""
    course: tuple[str, str, str] = ("", "", "")
    teaches: bool = False
    learns: bool = True


@dataclass(frozen=True)
class Sessions:
    """Gives and reads sessions, with a key that only this installation has."""

    key: str = field(repr=False)

    def give(self, session: Session, seconds: float = SECONDS) -> str:
        """A token that holds for so long."""
        now = int(time.time())
        return jwt.encode(
            {**asdict(session), "aud": _AUDIENCE, "iat": now, "exp": now + int(seconds)}, self.key, _ALGORITHM
        )

    def read(self, token: str) -> Session | None:
        """The session of a token that holds; None for any other."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self.key, [_ALGORITHM], audience=_AUDIENCE, options={"require": ["exp", "person", "account"]}
            )
        except jwt.PyJWTError:
            return None
        known = {name: claims[name] for name in ("person", "account", "name", "language", "teaches", "learns")}
        return Session(**known, course=tuple(claims["course"]))
