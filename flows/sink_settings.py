"""The settings of what is told of levels."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from flows.section import Section


class SinkSettings(Section):
    """What every sink has: a name, the policy where it is another than that of feedback, how fast and how long it is tried."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,50}$")
    title: str = ""  # what learners see it called, where they say whether they agree
    policy: dict[str, Any] = Field(default_factory=dict)  # fields of Policy that differ from feedback.policy
    per_second: float | None = Field(None, gt=0)
    timeout_seconds: float = Field(30, gt=0)
    patience_seconds: float = Field(600, ge=0)


class WebhookSettings(SinkSettings):
    """An address that is told of levels that changed, and the file with the secret that signs what it is told."""

    url: str = Field(pattern=r"^https?://")
    secret_file: Path


class MoodleSinkSettings(SinkSettings):
    """A Moodle whose learners are rated by its competencies, with the token of the user who rates."""

    url: str = Field(pattern=r"^https?://")
    token_file: Path
    framework: str | None = None  # its ID number there; none: competencies of any framework
    account: Literal["username", "idnumber", "id", "email"] = "username"
    courses: tuple[int, ...] = ()  # rated in these; none: competencies as such
    messages: Literal["never", "rises", "changes"] = "never"
    overwrite_ratings: bool = False  # given by others


class LrsSinkSettings(SinkSettings):
    """An LRS that is told of changes as statements: what stands before /statements in its address, Basic credentials."""

    url: str = Field(pattern=r"^https?://")
    username: str
    password_file: Path


class LtiSinkSettings(SinkSettings):
    """The platforms that the tool is registered at: scores in the courses that it was launched from."""

    role: str = ""  # one score for how much of this role is met, in place of one for each competency


class SinksSettings(Section):
    """Who is told of levels that changed, beside the topic competency.levels."""

    lrs: tuple[LrsSinkSettings, ...] = ()
    lti: tuple[LtiSinkSettings, ...] = Field((), max_length=1)
    webhook: tuple[WebhookSettings, ...] = ()
    moodle: tuple[MoodleSinkSettings, ...] = ()
