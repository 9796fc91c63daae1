"""The settings: one frozen object from `proficio.toml`, under environment variables `PROFICIO_…`."""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.errors import SettingsError

FILE = "proficio.toml"
Section = TypeVar("Section", bound=BaseModel)
_SERVERS = ("lrs", "moodle", "github")  # tables of [sources] of which there may be several
_SECRETS = (("event_log", "password"), ("identity", "key"))


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EventLogSettings(_Section):
    """Where statements wait to be landed."""

    kind: Literal["sqlite", "kafka"] = "sqlite"
    bootstrap_servers: str = "127.0.0.1:9092"
    partitions: int = Field(6, ge=1, le=10_000)
    replication_factor: int = Field(1, ge=1, le=10)
    compression: Literal["zstd", "gzip", "none"] = "zstd"
    max_record_bytes: int = Field(1_000_000, ge=1_000)
    delivery_seconds: float = Field(60, ge=1)
    # kafka-python's own names: security_protocol, sasl_mechanism, sasl_plain_username, ssl_cafile …
    options: dict[str, str | int | bool] = {}
    password: SecretStr | None = None  # sasl_plain_password; from the environment or password_file only
    password_file: Path | None = None


class LandSettings(_Section):
    """How statements are validated and landed."""

    batch_records: int = Field(50_000, ge=1)
    batch_bytes: int = Field(32_000_000, ge=1_000)
    max_reject_share: float = Field(0.2, ge=0, le=1)
    reject_share_from: int = Field(100, ge=1)  # records in a batch from which the share is judged
    repairs_off: frozenset[str] = frozenset()
    skip_expired: bool = False  # go on where the log's retention removed records before they were landed
    xapi_version: Literal["1.0.3", "2.0"] = "1.0.3"  # of statements that do not name theirs


class GitSettings(_Section):
    """Repositories to read commits from: local paths or clone URLs."""

    repositories: tuple[str, ...] = ()
    timeout_seconds: float = Field(600, ge=1)


class LrsSettings(_Section):
    """An LRS to read statements from: what stands before /statements in its address, Basic credentials."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,50}$")
    url: str = Field(pattern=r"^https?://")
    username: str
    password_file: Path
    version: Literal["1.0.3", "2.0"] = "1.0.3"
    page: int = Field(500, ge=1)  # statements asked for at once
    patience_seconds: float = Field(600, ge=0)  # how long it may be away or busy


class MoodleSettings(_Section):
    """A Moodle to read by its web services: its address, a token, the ids of the courses (none: all)."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,50}$")
    url: str = Field(pattern=r"^https?://")
    token_file: Path
    courses: tuple[int, ...] = ()
    patience_seconds: float = Field(600, ge=0)


class GitHubSettings(_Section):
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


class SourcesSettings(_Section):
    """The sources that `pull` reads."""

    git: GitSettings = GitSettings()
    lrs: tuple[LrsSettings, ...] = ()
    moodle: tuple[MoodleSettings, ...] = ()
    github: tuple[GitHubSettings, ...] = ()


class IdentitySettings(_Section):
    """How accounts meet in persons."""

    table: Path | None = None  # CSV with the columns account and person
    attributes: Path | None = None  # CSV with the column account and one for each attribute, such as team
    key: SecretStr | None = None  # of the hash that stands for a person; from the environment or key_file only
    key_file: Path | None = None
    group_share: float = Field(0, ge=0, le=1)  # how much of a group's work counts for each member; 0: none


class ReceiverSettings(_Section):
    """What `serve` accepts."""

    authority_home: str = "https://w3id.org/proficio/clients"  # homePage of the account that a client is as authority
    max_body_bytes: int = Field(20_000_000, ge=1_000)
    max_statements: int = Field(5_000, ge=1)  # in one request
    head_seconds: float = Field(20, gt=0)  # within which the head of a connection's next request must have come
    body_seconds: float = Field(60, gt=0)  # within which a request's body must have come
    rate: str = Field("30000/minute", pattern=r"^\d+/(second|minute|hour)$")  # requests of one client
    repaired_clients: frozenset[str] = frozenset()  # whose statements are mended as `land` mends them
    github_secret_file: Path | None = None  # of the webhook; none: /webhooks/github is not served


class StreamSettings(_Section):
    """How `stream` paces its micro-batches."""

    interval_seconds: float = Field(1.0, ge=0.05)


class EstimateSettings(_Section):
    """How levels are estimated."""

    framework: Path | None = None  # folder with framework.yaml and alignment.yaml; none: the one that ships
    memory: str = Field("4GB", pattern=r"^\d+(\.\d+)?(MB|GB)$")


class PublishSettings(_Section):
    """What readers are given."""

    leave_out: frozenset[str] = frozenset()  # marts, such as dim_person


class Settings(BaseSettings):
    """All settings. `home` is where every piece of data lives."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="PROFICIO_", env_nested_delimiter="__", env_ignore_empty=True
    )

    home: Path = Path(".proficio")
    event_log: EventLogSettings = EventLogSettings()
    land: LandSettings = LandSettings()
    sources: SourcesSettings = SourcesSettings()
    receiver: ReceiverSettings = ReceiverSettings()
    stream: StreamSettings = StreamSettings()
    estimate: EstimateSettings = EstimateSettings()
    identity: IdentitySettings = IdentitySettings()
    publish: PublishSettings = PublishSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - given by pydantic-settings
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment variables stand over what the TOML file gave."""
        return env_settings, init_settings

    @property
    def lake(self) -> Path:
        """Folder of the lake of statements."""
        return self.home / "lake" / "statements"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file that dbt writes."""
        return self.home / "warehouse.duckdb"

    @property
    def calibrations(self) -> Path:
        """Folder of the versions that `calibrate` made; the newest is in use."""
        return self.home / "calibrations"

    @property
    def published(self) -> Path:
        """Folder of the published marts."""
        return self.home / "published"


def load(config: Path | None = None) -> Settings:
    """The settings of `config`, else of the first proficio.toml found from the working directory upwards, else defaults.

    Relative paths in the file are relative to it. SettingsError, with each mistake and its place, for anything wrong.
    """
    path = _find(config)
    given = _read(path) if path else {}
    for section, name in _SECRETS:
        if name in given.get(section, {}):
            raise SettingsError(
                f"{path}: {section}.{name} is a secret and does not belong into the file.",
                f"Set PROFICIO_{section.upper()}__{name.upper()}, or {section}.{name}_file.",
            )
    try:
        settings = Settings(**given)
    except ValidationError as error:
        raise SettingsError(_mistakes(error, path), "Mend the setting; `proficio init` shows them all.") from None
    base = path.parent if path else Path.cwd()
    home = settings.home.expanduser()
    updates: dict[str, Any] = {"home": home if home.is_absolute() else base / home}
    for name in ("event_log", "receiver", "estimate", "identity"):
        updates[name] = _rebased(getattr(settings, name), base)
    updates["sources"] = settings.sources.model_copy(
        update={kind: tuple(_rebased(one, base) for one in getattr(settings.sources, kind)) for kind in _SERVERS}
    )
    return settings.model_copy(update=updates)


def _rebased(section: Section, base: Path) -> Section:
    """A section whose relative paths are relative to `base`."""
    paths = {name: value for name, value in section if isinstance(value, Path)}
    return section.model_copy(update={name: base / path.expanduser() for name, path in paths.items()})


def _find(config: Path | None) -> Path | None:
    if config is not None:
        if not config.is_file():
            raise SettingsError(f"There is no settings file {config}.", "Make one: proficio init.")
        return config.resolve()
    here = Path.cwd()
    return next((folder / FILE for folder in (here, *here.parents) if (folder / FILE).is_file()), None)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}", "Mend the line that is named.") from None


def _mistakes(error: ValidationError, path: Path | None) -> str:
    lines = []
    for one in error.errors():
        place = ".".join(map(str, one["loc"]))
        text = one["msg"]
        if one["type"] == "extra_forbidden":
            close = difflib.get_close_matches(str(one["loc"][-1]), _keys(one["loc"][:-1]), n=1)
            text = "there is no such setting" + (f"; did you mean {close[0]}?" if close else "")
        lines.append(f"  {place}: {text}")
    return f"Settings are wrong ({path or 'environment'}):\n" + "\n".join(lines)


def _keys(place: tuple[int | str, ...]) -> list[str]:
    model: Any = Settings
    for step in place:
        field = model.model_fields.get(step)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return list(model.model_fields)


TEMPLATE = """\
# Settings of proficio. Every line that starts with # shows a default; environment variables stand over this file:
# PROFICIO_EVENT_LOG__KIND=kafka is event_log.kind = "kafka".

# home = ".proficio"            # where all data lives, relative to this file

[event_log]
# kind = "sqlite"               # or "kafka"
# bootstrap_servers = "127.0.0.1:9092"
# partitions = 6                # of topics that proficio creates
# replication_factor = 1
# compression = "zstd"          # or "gzip", "none"
# max_record_bytes = 1000000    # a larger statement is refused by `ingest`
# delivery_seconds = 60         # how long a broker may be away before a command gives up
# password_file = "/run/secrets/kafka"   # sasl_plain_password; or PROFICIO_EVENT_LOG__PASSWORD
[event_log.options]
# security_protocol = "SASL_SSL"         # kafka-python's own names
# sasl_mechanism = "PLAIN"
# sasl_plain_username = "proficio"
# ssl_cafile = "/etc/ssl/kafka.pem"

[land]
# batch_records = 50000         # in memory at once, twice over
# max_reject_share = 0.2        # a batch with a greater share of rejects stops the flow
# reject_share_from = 100       # … judged in batches of at least so many records
# repairs_off = []              # names from schemas/repairs.yaml, or ["*"]
# skip_expired = false          # go on where the log removed records before they were landed
# xapi_version = "1.0.3"        # of statements that do not name theirs

[sources.git]
# repositories = ["/srv/git/models", "https://git.example.org/team/app.git"]

# [[sources.lrs]]               # one such table for each LRS to read statements from
# name = "campus"
# url = "https://lrs.example.org/xapi"
# username = "proficio"
# password_file = "/run/secrets/campus-lrs"

# [[sources.moodle]]            # one such table for each Moodle to read by its web services
# name = "campus"
# url = "https://moodle.example.org"
# token_file = "/run/secrets/moodle-token"
# courses = []                  # ids; none: all that the token may see

# [[sources.github]]            # one such table for each GitHub to read by its REST API
# name = "github"
# url = "https://api.github.com"         # https://HOST/api/v3 of an Enterprise server
# repositories = ["example/models"]
# token_file = "/run/secrets/github-token"
# app_id = "1234"               # instead of a token: an App with its installation
# installation_id = "5678"
# private_key_file = "/run/secrets/github-app.pem"

[receiver]
# authority_home = "https://w3id.org/proficio/clients"   # homePage of the account that a client is as authority
# max_body_bytes = 20000000     # of a request
# max_statements = 5000         # in a request
# rate = "30000/minute"         # requests of one client, /second, /minute or /hour; beyond it 429
# head_seconds = 20             # within which the head of a connection's next request must have come
# body_seconds = 60             # within which a request's body must have come
# repaired_clients = []         # clients whose statements are mended as `land` mends them
# github_secret_file = "/run/secrets/github-webhook"     # of the webhook that sends to /webhooks/github

[stream]
# interval_seconds = 1.0

[estimate]
# framework = "framework"       # folder with framework.yaml and alignment.yaml
# memory = "4GB"

[identity]
# table = "identities.csv"      # columns account, person: accounts that belong to one person
# attributes = "people.csv"     # columns account, team and whatever else you group people by
# key_file = "/run/secrets/person-key"   # of the hash that stands for a person; or PROFICIO_IDENTITY__KEY
#                               # without one, a key is made once and kept in the data folder
# group_share = 0               # how much of a group's work counts for each of its members, 0 to 1

[publish]
# leave_out = []                # marts that are not published, such as ["dim_person"]
"""
