"""Frameworks from and to files: CASE JSON, CSV, or a folder of YAML."""

import json
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from connectors.http import api
from connectors.moodle import WebServices
from connectors.moodle_framework import SetUp, set_up
from connectors.storage import storage_errors
from flows.opening import definitions, read_definitions, secret
from flows.settings import Settings
from schemas.definitions import Definitions
from schemas.errors import InputError, SettingsError
from schemas.framework import Framework
from transforms.framework_case import from_case, identifiers, to_case
from transforms.framework_csv import from_csv, to_csv
from transforms.framework_moodle import to_moodle_csv

CASE = "case.json"  # the package that a framework was imported from, as it came


def check(folder: Path | None, settings: Settings) -> Definitions:
    """The definitions in a folder, or those in use. SettingsError naming each mistake."""
    return read_definitions(folder, "framework check") if folder else definitions(settings)


def import_framework(settings: Settings, file: Path, folder: Path) -> Framework:
    """Make a framework's folder from a CASE package (.json) or a table (.csv), with the rules that hold for any framework.

    InputError where the file is not valid or the folder holds a framework already; nothing is written then.
    """
    text = _text(file)
    shipped = definitions(
        settings.model_copy(update={"estimate": settings.estimate.model_copy(update={"framework": None})})
    )
    if file.suffix == ".json":
        found = from_case(_json(text, file), str(file), shipped.framework)
    elif file.suffix == ".csv":
        found = from_csv(text, str(file))
    else:
        raise InputError(f"{file}: expected a file ending in .json (CASE) or .csv.", "Convert it.")
    if (folder / "framework.yaml").exists():
        raise InputError(f"{folder} holds a framework already.", "Name another folder: --folder.")
    written = {"framework.yaml": framework_yaml(found), **_general_rules()}
    if file.suffix == ".json":
        written[CASE] = text
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in written.items():
            (folder / name).write_text(content, encoding="utf-8")
    read_definitions(folder, "framework import")
    return found


def export_framework(settings: Settings, target: Path) -> Path:
    """Write the framework in use as CASE (.json), as a table (.csv), or, into a folder, all definitions as YAML."""
    framework, folder = definitions(settings).framework, settings.estimate.framework
    with storage_errors(target):
        if target.suffix == ".json":
            target.write_text(json.dumps(_package(framework, folder), indent=2, ensure_ascii=False) + "\n", "utf-8")
        elif target.suffix == ".csv":
            target.write_text(to_csv(framework), "utf-8")
        else:
            if (target / "framework.yaml").exists():
                raise InputError(f"{target} holds a framework already.", "Name another folder.")
            target.mkdir(parents=True, exist_ok=True)
            for one in (folder or Path(str(files("schemas").joinpath("generative_ai")))).glob("*.yaml"):
                (target / one.name).write_bytes(one.read_bytes())
    return target


def moodle_csv(settings: Settings, target: Path) -> None:
    """Write the framework in use as the table that Moodle imports."""
    with storage_errors(target):
        target.write_text(to_moodle_csv(definitions(settings).framework), "utf-8")


def set_up_moodle(settings: Settings, name: str | None, scale: int | None) -> SetUp:
    """Make the framework in the Moodle that a sink of the settings tells. SettingsError where that is none or several."""
    chosen = [one for one in settings.sinks.moodle if name in (None, one.name)]
    if len(chosen) != 1:
        known = ", ".join(one.name for one in settings.sinks.moodle) or "none"
        raise SettingsError(f"Expected one Moodle sink; the settings have {known}.", "Name one: --sink NAME.")
    token = secret(chosen[0].token_file, "sinks.moodle.token_file")
    with api(chosen[0].url) as remote:
        return set_up(WebServices(remote, token), definitions(settings).framework, scale)


def framework_yaml(framework: Framework) -> str:
    """A framework as YAML, without what it leaves at its default."""
    return yaml.safe_dump(
        framework.model_dump(mode="json", exclude_defaults=True), sort_keys=False, allow_unicode=True, width=120
    )


def _package(framework: Framework, folder: Path | None) -> dict[str, Any]:
    """The CASE package: as it was imported where nothing has changed since, else made anew with the identifiers that it had."""
    known = {}
    if folder and (folder / CASE).exists():
        came = _json(_text(folder / CASE), folder / CASE)
        if from_case(came, str(folder / CASE), framework) == framework:
            return dict(came)
        known = identifiers(came)
    return to_case(framework, datetime.now(UTC).isoformat(timespec="seconds"), known)


def _general_rules() -> dict[str, str]:
    """The files beside framework.yaml, with what holds whatever the competencies are."""
    shipped = files("schemas").joinpath("generative_ai")
    rules = yaml.safe_load(shipped.joinpath("alignment.yaml").read_text("utf-8"))
    general = [rule for rule in rules if rule.get("expand") or "competency" not in rule]
    types = shipped.joinpath("activity_types.yaml").read_text("utf-8")
    return {
        "alignment.yaml": yaml.safe_dump(general, sort_keys=False, allow_unicode=True, width=120),
        "activity_types.yaml": types,
        "roles.yaml": "[]\n",
        "criteria.yaml": "[]\n",
    }


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file} cannot be read: {getattr(error, 'strerror', None) or error}.", "Give a text file in UTF-8."
        ) from None


def _json(text: str, file: Path) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{file} is no JSON: {error}.", "Give a CFPackage as CASE 1.0 has it.") from None
