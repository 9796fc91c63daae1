"""The settings file, `proficio.toml`: how it is found and read, what is said of mistakes, and how a new one looks."""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from flows.settings import Settings
from schemas.errors import SettingsError

FILE, VARIABLE = "proficio.toml", "PROFICIO_CONFIG"
Given = TypeVar("Given")
_SECRETS = (("event_log", "password"), ("identity", "key"))


def load(config: Path | None = None) -> Settings:
    """The settings of `config`, else of $PROFICIO_CONFIG, else of the first proficio.toml from the working directory upwards.

    Without any, defaults. Relative paths in the file are relative to it.
    SettingsError, with each mistake and its place, for anything wrong.
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
    return _rebased(settings, path.parent if path else Path.cwd())


def _rebased(given: Given, base: Path) -> Given:
    """The same with every relative path, wherever it stands in it, relative to `base`."""
    found: Any = given
    if isinstance(given, Path):
        found = base / given.expanduser()
    elif isinstance(given, BaseModel):
        found = given.model_copy(update={name: _rebased(value, base) for name, value in given})
    elif isinstance(given, tuple):
        found = tuple(_rebased(value, base) for value in given)
    return cast("Given", found)


def _find(config: Path | None) -> Path | None:
    named = config or os.environ.get(VARIABLE)
    if named:
        path = Path(named)
        if not path.is_file():
            raise SettingsError(
                f"There is no settings file {path}.",
                f"Make one with proficio init, or name another by --config or {VARIABLE}.",
            )
        return path.resolve()
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
# compiled = ".proficio/compiled"   # what is compiled once, for data folders to share; without it, a folder of home
# lake = "s3://learning/lake"   # or gs://…, abfss://…, file:///folder; without it, a folder of home
# lake_options = { region = "eu-central-1" }    # obstore's own names: endpoint, timeout …; credentials from the environment

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
# alert_rise = 3                # `status` and `run` tell of a source whose rejects of a day are so many times those of before
# alert_from = 10               # … and at least so many
# repairs_off = []              # names from schemas/repairs.yaml, or ["*"]
# skip_expired = false          # go on where the log removed records before they were landed
# xapi_version = "1.0.3"        # of statements that do not name theirs
# group = "proficio-land"       # Kafka consumer group in which any number of processes land; without it, one at a time does
# session_seconds = 45          # … after which a worker that does not answer loses its partitions to the others

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

# [[sources.kaggle]]            # one such table for each account of Kaggle
# name = "kaggle"
# username = "ada"
# token_file = "/run/secrets/kaggle"     # an API token, or kaggle.json
# users = ["grace"]             # whose public notebooks, datasets and models are read besides
# competitions = ["titanic"]    # in whose final leaderboards they are looked for, besides those the account entered

[pages]
# url = "https://proficio.example.org"     # where browsers reach `proficio serve`; without it there are no pages
# title = "proficio"

[feedback.policy]               # of every sink; policy = { … } of a sink stands over it
# consent = "required"          # or "assumed": told until the person withdraws
# certainty = 0.6               # probability from which another level than the one told is spoken of
# hold_days = 0                 # days that it has to hold before
# hold_evidence = 3             # … or further pieces of evidence; without it, days alone count
# decreases = true              # whether lower levels are told
# minimum_evidence_count = 1    # pieces of evidence below which nothing is told
# minimum_evidence_weight = 0
# approval = false              # whether a reviewer approves first: proficio feedback --approve
# quiet_hours = "22:00-07:00"   # when nothing is told
# time_zone = "UTC"             # … by the clocks of this zone, such as Europe/Berlin

# [[sinks.lrs]]                 # one such table for each LRS that is told of changes as statements
# name = "records"
# url = "https://lrs.example.org/xapi"
# username = "proficio"
# password_file = "/run/secrets/records-lrs"

# [[sinks.lti]]                 # scores in the courses that the LTI tool was launched from; platforms: proficio lti
# name = "lti"
# role = "data-scientist"       # one score for how much of this role is met; none: one for each competency

# [[sinks.moodle]]              # one such table for each Moodle whose learners are rated
# name = "campus"
# url = "https://moodle.example.org"
# token_file = "/run/secrets/moodle-token"
# framework = "generative-ai"   # ID number of the competency framework there; none: any
# account = "username"          # what an account's name at that Moodle is: or "idnumber", "id", "email"
# courses = []                  # ids of courses that are rated in; none: competencies as such
# messages = "never"            # to learners: or "rises", "changes"
# overwrite_ratings = false     # whether a rating that someone gave by hand may be replaced

# [[sinks.webhook]]             # one such table for each address that is told of levels that changed
# name = "hr"
# url = "https://hr.example.org/levels"
# secret_file = "/run/secrets/hr-webhook"
# policy = { decreases = false }
# title = "HR"                  # of any sink: what learners see it called, where they say whether they agree
# per_second = 10               # … how often it is asked at most
# timeout_seconds = 30          # … how long one answer is waited for
# patience_seconds = 600        # … how long what may pass is tried again

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

[spark]                         # for estimate --target spark: docs/scale.md
# master = "local[*]"           # or spark://host:7077, yarn, k8s://…
# conf = {}                     # Spark's own names, such as {"spark.executor.memory" = "8g"}

[identity]
# table = "identities.csv"      # columns account, person: accounts that belong to one person
# attributes = "people.csv"     # columns account, team and whatever else you group people by
# key_file = "/run/secrets/person-key"   # of the hash that stands for a person; or PROFICIO_IDENTITY__KEY
#                               # without one, a key is made once and kept in the data folder
# group_share = 0               # how much of a group's work counts for each of its members, 0 to 1

[publish]
# to = ["parquet", "duckdb"]    # and "postgres"; Parquet is always written
# leave_out = []                # marts that are not published
# identified = false            # true: dim_person and dim_account, who people are, are published too
# least_group = 5               # cohorts of fewer people are not told of

# [publish.postgres]
# url = "postgresql://proficio@db.example.org/warehouse"
# password_file = "/run/secrets/postgres"
# schema = "proficio"

[logs]
# format = "text"               # "json": one object a line, with the run that it is of

[docs]                          # what a run links to in the Prefect UI, where you serve it; else the file of the Data Docs
# data_docs = "https://docs.example.org/quality/"   # serves quality/gx/uncommitted/data_docs/local_site of the data folder
# dbt_docs = "https://docs.example.org/dbt/"        # serves what `make docs` writes

[retention.days]                # source → days that its statements are kept from when they came; "*": of the others
# moodle = 1095
# "*" = 1825
"""
