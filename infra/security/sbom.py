"""The software bill of materials of what an installation runs, and its licences: `python infra/security/sbom.py FOLDER`.

Writes sbom.json (CycloneDX 1.6) and licences.csv. Ends with 1 where a package comes under no licence that licences.yaml allows.
"""

import csv
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

_ROOT = Path(__file__).parents[2]
_ALLOWED: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("licences.yaml").read_text("utf-8"))


def bill() -> dict[str, Any]:
    """What is installed here, as CycloneDX, less what only development needs."""
    tool = [Path(sys.executable).with_name("cyclonedx-py"), "environment", "--pyproject", _ROOT / "pyproject.toml",
            "--output-reproducible", "--sv", "1.6", "-o", "-", sys.executable]  # fmt: skip
    found: dict[str, Any] = json.loads(subprocess.run(tool, check=True, capture_output=True).stdout)
    depends = {one["ref"]: one.get("dependsOn", []) for one in found["dependencies"]}
    root = found["metadata"]["component"]["bom-ref"]
    asked = {
        _name(one) for one in tomllib.loads((_ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    }
    depends[root] = [ref for ref in depends[root] if _name(ref) in asked]
    kept = _reached(depends, root)
    found["components"] = [one for one in found["components"] if one["bom-ref"] in kept]
    found["dependencies"] = [{"ref": ref, "dependsOn": depends[ref]} for ref in sorted(kept)]
    return found


def licences(component: dict[str, Any]) -> list[str]:
    """The licences that a component declares: SPDX expressions or ids, or names as its classifiers have them."""
    found = []
    for one in component.get("licenses", ()):
        text = one.get("expression") or one["license"].get("id") or one["license"].get("name", "")
        found.append(text.removeprefix("License :: OSI Approved :: ").removeprefix("License :: "))
    return sorted(set(found))


def allowed(name: str, of: Iterable[str]) -> bool:
    """Whether any of these licences may be used beside Apache-2.0, or the package was looked at by hand.

    Of an SPDX expression, every part that AND joins has to be, by any of the choices that OR gives.
    """
    pattern = re.compile("|".join(_ALLOWED["licences"]))
    return name in _ALLOWED["looked_at"] or any(
        all(any(pattern.search(choice) for choice in re.split(r"\bOR\b", part)) for part in re.split(r"\bAND\b", one))
        for one in of
    )


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    found = bill()
    (folder / "sbom.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    rows = [(one["name"], one["version"], licences(one)) for one in found["components"]]
    with (folder / "licences.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("package", "version", "licences"))
        table.writerows((name, version, "; ".join(of)) for name, version, of in rows)
    refused = [
        f"{name} {version}: {'; '.join(of) or 'none declared'}" for name, version, of in rows if not allowed(name, of)
    ]
    if refused:
        sys.exit("Not among infra/security/licences.yaml:\n" + "\n".join(refused))
    sys.stdout.write(f"{len(rows)} packages, every licence allowed: {folder}/sbom.json, {folder}/licences.csv\n")


def _reached(depends: dict[str, list[str]], root: str) -> set[str]:
    kept, waiting = {root}, [root]
    while waiting:
        new = set(depends.get(waiting.pop(), ())) - kept
        kept |= new
        waiting += new
    return kept


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]).lower()


if __name__ == "__main__":
    main()
