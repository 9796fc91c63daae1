"""Runs the dbt project in-process, from a copy in the data folder, so that the installed package stays untouched."""

import json
import os
import shutil
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from connectors.storage import storage_errors
from connectors.warehouse import MORE_MEMORY
from schemas.errors import ProficioError, QualityError, StorageError

_PACKAGED = Path(__file__).resolve().parent.parent / "dbt_project"
_ROOM = "Make room and run it again."
_NOT_COPIED = shutil.ignore_patterns("target", "logs", "__pycache__")


@dataclass(frozen=True)
class Described:
    """What dbt says a model and its columns are, and of which types."""

    description: str
    columns: Mapping[str, str]
    types: Mapping[str, str]


def described() -> dict[str, Described]:
    """The marts by their names, as the project describes them."""
    found = {}
    for path in sorted((_PACKAGED / "models" / "marts").glob("*.yml")):
        for model in yaml.safe_load(path.read_text("utf-8"))["models"]:
            columns = {column["name"]: column["description"] for column in model["columns"]}
            types = {column["name"]: column["data_type"] for column in model["columns"]}
            found[model["name"]] = Described(model["description"], columns, types)
    return found


class DbtProject:
    """The project's copy under `folder`, with `seeds` written into it, on the warehouse file given, or on Spark without one.

    The first call parses the project and keeps the manifest in the folder `parsed`, so that no later one does, of this process or
    another, whatever variables it is given. With `as_tasks`, inside of a Prefect run, each model and test is a task run of its
    own; that parses with each call. `as_of` is the moment that stands for now.
    """

    def __init__(
        self,
        folder: Path,
        seeds: Mapping[str, str],
        warehouse: Path | None,
        parsed: Path,
        memory: str,
        least_group: int = 5,
        as_tasks: bool = False,
        as_of: str = "",
    ) -> None:
        self.folder = folder
        self._as_tasks = as_tasks
        self._as_of = as_of
        with storage_errors(folder):
            self.digest = f"{_refresh(folder, seeds)} {least_group}"
        self._target = "duckdb" if warehouse else "spark"
        # What a manifest is made of: the project, the names of the database and of the seeds, dbt itself.
        dbt = (version("dbt-core"), version(f"dbt-{self._target}"))
        made_of = (str(warehouse and warehouse.name), *sorted(seeds), *dbt)
        self._parsed = parsed / f"dbt-{_digest(f'{one} ' for one in made_of)}.msgpack"
        self._environment = {
            "PROFICIO_WAREHOUSE": str(warehouse),
            "PROFICIO_WAREHOUSE_TEMP": str(folder / "spill"),
            "PROFICIO_WAREHOUSE_MEMORY": memory,
            "PROFICIO_LEAST_GROUP": str(least_group),
            "DO_NOT_TRACK": "1",
            "DBT_LOG_FORMAT": "text",
        }
        self._manifest: Any = None

    def invoke(self, command: str, *arguments: str, **variables: Any) -> list[dict[str, Any]]:
        """Run a dbt command with dbt's variables; for each node its name, status and message. Raises where one failed.

        QualityError when data tests failed, StorageError when the disk is full, ProficioError otherwise.
        """
        if self._manifest is None and command != "parse":
            self.parse()
        os.environ.update(self._environment)
        folder = str(self.folder)
        paths = ["--target", self._target, "--project-dir", folder, "--profiles-dir", folder, "--quiet", "--no-use-colors",
                 "--log-path", str(self.folder / "logs")]  # fmt: skip
        try:
            runner, silence = self._runner(command)
            given = ["--vars", json.dumps({"as_of": self._as_of, **variables})]
            outcome = runner.invoke([*command.split(), *paths, *silence, *arguments, *given])
            _ended_tasks()
        finally:
            if self._target == "duckdb":
                _release()
        if "No space left" in str(outcome.exception):
            raise StorageError(f"dbt {command} found no room on the disk: {outcome.exception}", _ROOM)
        if outcome.exception is not None:
            raise ProficioError(f"dbt {command} did not run: {outcome.exception}", "See the message; mend the project.")
        if command == "parse":
            self._manifest = outcome.result
            return []
        results = [
            {"name": result.node.name, "status": str(result.status), "message": result.message or ""}
            for result in getattr(outcome.result, "results", ())
            if hasattr(result, "node")
        ]
        if not outcome.success:
            self._raise(command, results)
        return results

    def _runner(self, command: str) -> tuple[Any, list[str]]:
        """What invokes dbt, and the options that keep it silent."""
        if self._as_tasks and command in ("run", "seed", "test"):
            from dbt_common.events.base_types import EventLevel
            from prefect_dbt import PrefectDbtRunner, PrefectDbtSettings

            here = PrefectDbtSettings(
                project_dir=self.folder,
                profiles_dir=self.folder,
                target_path=self.folder / "target",
                log_level=EventLevel.ERROR,
            )
            return PrefectDbtRunner(settings=here, raise_on_failure=False, disable_assets=True), []
        from dbt.cli.main import dbtRunner

        return dbtRunner(manifest=self._manifest), ["--log-level", "none"]

    def compiled(self, model: str) -> str:
        """The query of a model."""
        self.invoke("compile", "--select", model)
        (path,) = (self.folder / "target" / "compiled").rglob(f"{model}.sql")
        return path.read_text("utf-8")

    def parse(self) -> None:
        """Parse the project, or take what it was parsed to; later calls then need not."""
        if not self._as_tasks:
            self._manifest = self._kept()
        if self._manifest is None:
            self.invoke("parse")
            with storage_errors(self._parsed):
                self._parsed.parent.mkdir(parents=True, exist_ok=True)
                part = self._parsed.with_suffix(f".{uuid4().hex}.part")
                shutil.copyfile(self.folder / "target" / "partial_parse.msgpack", part)
                part.replace(self._parsed)

    def _kept(self) -> Any:
        """What the project was parsed to; none, where that was not kept or is damaged."""
        from dbt.contracts.graph.manifest import Manifest
        from dbt.contracts.graph.nodes import SeedNode
        from dbt.parser.manifest import extended_mashumuro_decoder

        try:
            manifest = Manifest.from_msgpack(self._parsed.read_bytes(), decoder=extended_mashumuro_decoder)
        except (FileNotFoundError, ValueError, TypeError, LookupError, AttributeError):
            return None
        for node in manifest.nodes.values():
            if isinstance(node, SeedNode):
                node.root_path = str(self.folder.absolute())  # where dbt-duckdb looks for the file
        # As dbt does with one that it takes up again.
        manifest.metadata.generated_at = datetime.now(UTC).replace(tzinfo=None)
        manifest.build_flat_graph()
        return manifest

    def _raise(self, command: str, results: list[dict[str, Any]]) -> None:
        failed = [one for one in results if one["status"] in ("error", "fail", "runtime error")]
        lines = "\n".join(f"  {one['name']}: {_shortened(' '.join(one['message'].split()))}" for one in failed)
        if any("No space left" in one["message"] or "Could not write" in one["message"] for one in failed):
            raise StorageError(f"dbt {command} found no room on the disk:\n{lines}", _ROOM)
        if any("Out of Memory" in one["message"] for one in failed):
            raise StorageError(f"dbt {command} needs more memory:\n{lines}", MORE_MEMORY)
        if command == "test":
            raise QualityError(f"{len(failed)} dbt tests failed:\n{lines}", "Look at the rows that the tests name.")
        raise ProficioError(f"dbt {command} failed:\n{lines}", f"The compiled SQL is under {self.folder / 'target'}.")


def _ended_tasks() -> None:
    """Wait for the task runs of dbt's nodes: prefect-dbt 0.7 gives each a thread and does not, so that most never got to run."""
    for thread in threading.enumerate():
        if thread.name.endswith("(run_task)"):
            thread.join()


def _shortened(message: str) -> str:
    """The beginning, which says where, and the end, which says what: a message may hold a whole traceback."""
    return message if len(message) <= 400 else f"{message[:150]} … {message[-250:]}"


def _refresh(folder: Path, seeds: Mapping[str, str]) -> str:
    """Make the copy what the package and the seeds say; a digest of both."""
    digest = _digest(f"{name}\n{text}" for name, text in sorted(seeds.items()))
    stamp = folder / ".digest"
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        try:
            shutil.copytree(_PACKAGED, folder, ignore=_NOT_COPIED, dirs_exist_ok=True)
        except shutil.Error as error:
            raise OSError(error.args[0][0][2]) from error  # why for the first, of all files that it could not copy
        for name, text in seeds.items():
            (folder / "seeds" / f"{name}.csv").write_text(text, encoding="utf-8")
        stamp.write_text(digest)
    return digest


def _digest(parts: Iterable[str]) -> str:
    """A digest of the project as it is installed, and of `parts`."""
    digest = sha256()
    for path in sorted(_PACKAGED.rglob("*")):
        if path.suffix in (".sql", ".yml", ".py") and not {"target", "logs"} & set(path.parts):
            digest.update(path.read_bytes())
    for part in parts:
        digest.update(part.encode())
    return digest.hexdigest()


def _release() -> None:
    """Close the warehouse, which dbt-duckdb keeps open for its process's life."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()
        DuckDBConnectionManager.close_all_connections()
