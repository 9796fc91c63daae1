"""The settings there are, in one frozen object. Environment variables `PROFICIO_…` stand over what is given."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from flows.section import Section
from flows.sink_settings import SinksSettings
from flows.source_settings import SourcesSettings
from schemas.policy import Policy

Target = Literal["duckdb", "spark"]  # of dbt


class EventLogSettings(Section):
    """Where statements wait to be landed."""

    kind: Literal["sqlite", "kafka"] = "sqlite"
    bootstrap_servers: str = "127.0.0.1:9092"
    partitions: int = Field(6, ge=1, le=10_000)
    replication_factor: int = Field(1, ge=1, le=10)
    compression: Literal["zstd", "gzip", "none"] = "zstd"
    max_record_bytes: int = Field(1_000_000, ge=1_000)
    delivery_seconds: float = Field(60, ge=1)
    # kafka-python's own names: security_protocol, sasl_mechanism, sasl_plain_username, ssl_cafile …
    options: dict[str, str | int | bool] = Field(default_factory=dict)
    password: SecretStr | None = None  # sasl_plain_password; from the environment or password_file only
    password_file: Path | None = None


class LandSettings(Section):
    """How statements are validated and landed."""

    batch_records: int = Field(50_000, ge=1)
    batch_bytes: int = Field(32_000_000, ge=1_000)
    max_reject_share: float = Field(0.2, ge=0, le=1)
    reject_share_from: int = Field(100, ge=1)  # records in a batch from which the share is judged
    alert_rise: float = Field(3, gt=0)  # a source's rejects of a day to those of a day of the week before, to be told
    alert_from: int = Field(10, ge=1)  # rejects in a day from which that is judged
    repairs_off: frozenset[str] = frozenset()
    skip_expired: bool = False  # go on where the log's retention removed records before they were landed
    xapi_version: Literal["1.0.3", "2.0"] = "1.0.3"  # of statements that do not name theirs
    group: str = Field("", pattern=r"^[A-Za-z0-9._-]{0,200}$")  # consumer group in which several land; "": one does
    session_seconds: float = Field(45, ge=1)  # of silence, after which a worker's partitions go to the others


class FeedbackSettings(Section):
    """What is told of levels that changed."""

    policy: Policy = Policy()


class PagesSettings(Section):
    """The pages of learners and instructors, which `serve` serves."""

    url: str = Field("", pattern=r"^(https?://.*[^/])?$")  # where browsers reach it; none: there are no pages
    title: str = "proficio"


class IdentitySettings(Section):
    """How accounts meet in persons."""

    table: Path | None = None  # CSV with the columns account and person
    attributes: Path | None = None  # CSV with the column account and one for each attribute, such as team
    key: SecretStr | None = None  # of the hash that stands for a person; from the environment or key_file only
    key_file: Path | None = None
    group_share: float = Field(0, ge=0, le=1)  # how much of a group's work counts for each member; 0: none


class ReceiverSettings(Section):
    """What `serve` accepts."""

    authority_home: str = "https://w3id.org/proficio/clients"  # homePage of the account that a client is as authority
    max_body_bytes: int = Field(20_000_000, ge=1_000)
    max_statements: int = Field(5_000, ge=1)  # in one request
    head_seconds: float = Field(20, gt=0)  # within which the head of a connection's next request must have come
    body_seconds: float = Field(60, gt=0)  # within which a request's body must have come
    rate: str = Field("30000/minute", pattern=r"^\d+/(second|minute|hour)$")  # requests of one client
    repaired_clients: frozenset[str] = frozenset()  # whose statements are mended as `land` mends them
    github_secret_file: Path | None = None  # of the webhook; none: /webhooks/github is not served
    turn_seconds: float = Field(
        15, ge=1
    )  # after which one of several receivers that stands still loses its turn at writing


class StateSettings(Section):
    """A PostgreSQL (14 or newer) for what several receivers share; none: SQLite files of home, for one receiver."""

    url: str = Field("", pattern=r"^(postgres(ql)?://.*)?$")  # of libpq, without the password
    password_file: Path | None = None


class StreamSettings(Section):
    """How `stream` paces its micro-batches."""

    interval_seconds: float = Field(1.0, ge=0.05)


class EstimateSettings(Section):
    """How levels are estimated."""

    framework: Path | None = None  # folder with framework.yaml and alignment.yaml; none: the one that ships
    memory: str = Field("4GB", pattern=r"^\d+(\.\d+)?(MB|GB)$")


class SparkSettings(Section):
    """Where `--target spark` estimates."""

    master: str = "local[*]"  # or spark://host:7077, yarn, k8s://…
    # Spark's own names: spark.executor.memory, spark.sql.warehouse.dir, …
    conf: dict[str, str] = Field(default_factory=dict)


class PostgresSettings(Section):
    """A PostgreSQL (14 or newer) to publish to: a libpq URI without the password, the schema that the marts stand in."""

    url: str = Field(pattern=r"^postgres(ql)?://")
    password_file: Path | None = None
    schema_name: str = Field("proficio", alias="schema", pattern=r"^[a-z_][a-z0-9_]{0,50}$")

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class PublishSettings(Section):
    """What readers are given."""

    to: frozenset[Literal["parquet", "duckdb", "postgres"]] = frozenset({"parquet", "duckdb"})
    postgres: PostgresSettings | None = None

    leave_out: frozenset[str] = frozenset()  # marts
    identified: bool = False  # whether dim_person and dim_account are published too; without, people are pseudonymous
    least_group: int = Field(5, ge=1)  # people in a cohort from which it is told of


class RetentionSettings(Section):
    """How long statements are kept."""

    # source → days since they were received; "*" for the others
    days: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)


class LogsSettings(Section):
    """What is logged, to standard error."""

    format: Literal["text", "json"] = "text"


class DocsSettings(Section):
    """Where an organisation serves what `quality` and `make docs` write, for the links of a run in the Prefect UI."""

    data_docs: HttpUrl | None = None
    dbt_docs: HttpUrl | None = None


class Settings(BaseSettings):
    """All settings. `home` is where every piece of data lives."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="PROFICIO_", env_nested_delimiter="__", env_ignore_empty=True
    )

    home: Path = Path(".proficio")
    compiled: Path | None = None  # folder of compiled predictions and of the parsed dbt project, which homes may share
    # s3://bucket/prefix, gs://…, abfss://container@account.dfs.core.windows.net/… or file:///folder; "": a folder of home
    lake: str = Field("", pattern=r"^((s3|s3a|gs|abfss|file)://.+)?$")
    # obstore's own names: endpoint, region, timeout …; credentials come from the environment, as the cloud's tools have them
    lake_options: dict[str, str] = Field(default_factory=dict)
    event_log: EventLogSettings = EventLogSettings()
    land: LandSettings = LandSettings()
    sources: SourcesSettings = SourcesSettings()
    state: StateSettings = StateSettings()
    receiver: ReceiverSettings = ReceiverSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    pages: PagesSettings = PagesSettings()
    sinks: SinksSettings = SinksSettings()
    stream: StreamSettings = StreamSettings()
    estimate: EstimateSettings = EstimateSettings()
    spark: SparkSettings = SparkSettings()
    identity: IdentitySettings = IdentitySettings()
    publish: PublishSettings = PublishSettings()
    retention: RetentionSettings = RetentionSettings()
    logs: LogsSettings = LogsSettings()
    docs: DocsSettings = DocsSettings()

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
    def compiled_folder(self) -> Path:
        """Folder of what is compiled once; may be removed at any time."""
        return self.compiled or self.home / "compiled"

    @property
    def lake_folder(self) -> Path:
        """Folder of the lake of statements, where `lake` names no other place."""
        return self.home / "lake" / "statements"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file that dbt writes."""
        return self.home / "warehouse.duckdb"

    @property
    def spark_home(self) -> Path:
        """Folder of Spark's tables and their metastore, where spark.conf names no other."""
        return self.home / "spark"

    @property
    def ledger(self) -> Path:
        """The DuckDB file of what was told to whom."""
        return self.home / "feedback.duckdb"

    @property
    def calibrations(self) -> Path:
        """Folder of the versions that `calibrate` made; the newest is in use."""
        return self.home / "calibrations"

    @property
    def published(self) -> Path:
        """Folder of the published marts."""
        return self.home / "published"

    @property
    def identified(self) -> Path:
        """Folder of the marts that say who people are, for proficio's own pages and sinks."""
        return self.home / "identified"
