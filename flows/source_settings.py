"""The settings of what `pull` reads."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from flows.section import Section


class GitSettings(Section):
    """Repositories to read commits from: local paths or clone URLs."""

    repositories: tuple[str, ...] = ()
    timeout_seconds: float = Field(600, ge=1)


class LrsSettings(Section):
    """An LRS to read statements from: what stands before /statements in its address, Basic credentials."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,50}$")
    url: str = Field(pattern=r"^https?://")
    username: str
    password_file: Path
    version: Literal["1.0.3", "2.0"] = "1.0.3"
    page: int = Field(500, ge=1)  # statements asked for at once
    patience_seconds: float = Field(600, ge=0)  # how long it may be away or busy


class MoodleSettings(Section):
    """A Moodle to read by its web services: its address, a token, the ids of the courses (none: all)."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,50}$")
    url: str = Field(pattern=r"^https?://")
    token_file: Path
    courses: tuple[int, ...] = ()
    patience_seconds: float = Field(600, ge=0)


class GitHubSettings(Section):
    """A GitHub to read by its REST API: repositories as owner/name, a token or an App as it is installed."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,50}$")
    url: str = Field("https://api.github.com", pattern=r"^https?://")
    repositories: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-][\w.-]*/[\w-][\w.-]*$")], ...] = Field(
        min_length=1
    )
    token_file: Path | None = None
    app_id: str | None = None
    installation_id: str | None = None
    private_key_file: Path | None = None
    patience_seconds: float = Field(600, ge=0)

    @model_validator(mode="after")
    def _check(self) -> "GitHubSettings":
        as_app = (self.app_id, self.installation_id, self.private_key_file)
        if (self.token_file is None) == (None in as_app):
            raise ValueError("expected token_file, or app_id, installation_id and private_key_file")
        return self


class KaggleSettings(Section):
    """An account of Kaggle with its token (or kaggle.json), users to read besides, competitions to look for them in."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,50}$")
    url: str = Field("https://api.kaggle.com/v1", pattern=r"^https?://")
    username: str
    token_file: Path
    users: tuple[str, ...] = ()
    competitions: tuple[str, ...] = ()
    patience_seconds: float = Field(600, ge=0)


class SourcesSettings(Section):
    """The sources that `pull` reads."""

    git: GitSettings = GitSettings()
    lrs: tuple[LrsSettings, ...] = ()
    moodle: tuple[MoodleSettings, ...] = ()
    github: tuple[GitHubSettings, ...] = ()
    kaggle: tuple[KaggleSettings, ...] = ()
