"""A pipeline for tests: statements in, levels out, by the commands' own functions."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from connectors import warehouse
from connectors.dbt import DbtProject
from flows.estimate import estimate
from flows.land import land
from flows.opening import definitions, event_log, lake_of
from flows.settings import Settings
from schemas.records import STATEMENTS, Record
from transforms.calibration import Calibration
from transforms.seeds import seeds
from transforms.statements import actor_id

_NAMED_LEVELS = "select * from mart_levels inner join dim_person using (person)"


@dataclass(frozen=True)
class Pipeline:
    """A home of its own with a dbt project that is parsed once."""

    settings: Settings
    competencies: list[str]
    project: DbtProject

    @staticmethod
    def at(home: Path, calibration: Calibration, **changes: Any) -> "Pipeline":
        """With the definitions that ship, less what `changes` says (fields of Definitions)."""
        settings = Settings(home=home)
        chosen = replace(definitions(settings), **changes)
        project = DbtProject(
            home / "dbt", seeds(chosen, calibration, 0.5), settings.warehouse, settings.compiled_folder, "2GB", 1
        )
        project.parse()
        return Pipeline(settings, [competency.id for competency in chosen.framework.competencies], project)

    def reset(self) -> None:
        for path in self.settings.home.glob("*.d*b*"):
            if path.is_file():
                path.unlink()
        for file in lake_of(self.settings).published():
            file.path.unlink()

    def take(self, statements: list[dict[str, Any]], full_refresh: bool = False) -> None:
        with event_log(self.settings) as log:
            log.append(
                STATEMENTS, [Record(actor_id(one["actor"]), orjson.dumps(one), {"source": "t"}) for one in statements]
            )
            land(self.settings, log)
            estimate(self.settings, full_refresh, self.project, log)

    def levels_by_key(self) -> dict[tuple[str, str], dict[str, Any]]:
        rows = warehouse.rows(self.settings.warehouse, "select * from mart_levels")
        return {(row["person"], row["competency"]): row for row in rows}

    def levels(self) -> dict[tuple[str, str], dict[str, Any]]:
        rows = warehouse.rows(self.settings.warehouse, _NAMED_LEVELS)
        return {(row["mail_address"], row["competency"]): row for row in rows}
