"""Every command in README and docs is run: here, or by the test that is named."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests import command_server
from tests.generated import generated

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

# Commands that need more than a folder and a minute, and where they are run instead.
ELSEWHERE = {
    "make demo": "tests/test_wheel.py::test_the_wheel_alone_runs_the_demo",
    "make test": "this run",
    "make superset": "tests/infra/test_superset.py",
    "make kafka": "tests/connectors/test_event_log.py (infra/kafka/broker is what it calls)",
    "make lint": "CI",
    "make docs": "test_the_site_is_built_strictly_and_fetches_nothing",
    "make generated": "test_generated_files_are_up_to_date",
    "make .venv/done": "CI",
    "make slow": "by hand",
    "make bench": "by hand; test_the_benchmark_runs (make slow) runs it small",
    "python3 -m venv": "tests/test_wheel.py",
    "/opt/proficio/bin/pip install": "tests/test_wheel.py",
    "PROFICIO_EVENT_LOG__KIND=kafka proficio": "tests/flows/test_cli.py::test_a_missing_topic_is_told",
    "export PREFECT_API_URL": "tests/flows/test_deployed.py",
    "export PROFICIO_CONFIG": "tests/flows/test_cli.py::test_settings_that_are_wrong_are_told_with_what_was_meant",
    "prefect ": "tests/flows/test_deployed.py::test_deployments_run_on_a_real_server_and_worker",
    "proficio align": "tests/flows/test_cli.py::test_rules_are_tried_and_proposed",
    "proficio framework": "tests/flows/test_cli_framework.py::test_an_organisation_brings_its_own_framework",
    "proficio evaluate": "tests/flows/test_evaluate.py::test_answers_are_evaluated_beside_the_baselines",
    "proficio calibrate": "tests/flows/test_evaluate.py",
    "python -m tests.end_to_end.simulation": "test_the_simulation_runs",
    "proficio lti": "tests/connectors/test_lti.py",
    "python -m tests.end_to_end.wavering": "tests/end_to_end/test_telling.py",
    "python -m tests.end_to_end.telling": "tests/end_to_end/test_telling.py runs it smaller",
    "python -m tests.end_to_end.kills": "tests/flows/test_land.py runs it smaller",
    "python -m tests.end_to_end.workers": "tests/flows/test_land.py runs it smaller",
    "python -m tests.benchmarks": "test_the_benchmark_runs",
}
HERE = "proficio "


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        fenced = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
        for line in "\n".join(block for kind, block in fenced if kind in ("", "sh", "bash")).splitlines():
            command = line.split("  #")[0].strip()
            if re.match(r"(make|proficio|prefect|python3?|export|/opt|PROFICIO_\w+=\S+ proficio)\b", command):
                found.append((page.name, command))
    return found


def test_every_command_is_run_somewhere() -> None:
    assert len(commands()) > 20
    for page, command in commands():
        assert command.startswith((HERE, *ELSEWHERE)), f"{page}: nothing runs {command!r}"


def test_the_commands_of_an_operator_run_in_their_order(tmp_path: Path) -> None:
    import gzip

    statement = (
        '{"actor":{"mbox":"mailto:ada@example.org"},"verb":{"id":"http://adlnet.gov/expapi/verbs/answered"},'
        '"object":{"id":"https://lms.example.org/data-literacy/beginner/1"},"result":{"success":true}}\n'
    )
    (tmp_path / "statements.ndjson.gz").write_bytes(gzip.compress(statement.encode()))
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    who = ["-c", "user.name=A", "-c", "user.email=a@e.org"]
    subprocess.run(["git", *who, "commit", "-q", "--allow-empty", "-m", "x"], cwd=tmp_path, check=True)
    ran = 0
    for page, command in commands():
        if page == "README.md" and command.startswith(HERE):
            arguments = [one.replace("60", "2") if "stream" in command else one for one in shlex.split(command)[1:]]
            done = command_server.run(arguments, tmp_path)
            assert done.returncode == 0, (command, done.stdout, done.stderr)
            ran += 1
    assert ran >= 9


def test_the_tutorial_is_true(tmp_path: Path) -> None:
    """Its files are written, its commands run in their order, and each line that it shows is among what they say."""
    text = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    told, shown = "", 0
    for kind, title, block in re.findall(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', text, re.DOTALL | re.MULTILINE):
        if title == "proficio.toml":
            settings = (tmp_path / title).read_text("utf-8")
            section = block.splitlines()[0]
            assert section in settings
            (tmp_path / title).write_text(settings.replace(f"{section}\n", block))
        elif title:
            with (tmp_path / title).open("a") as file:
                file.write(block)
        elif kind == "text":
            for line in block.splitlines():
                assert line in told, told
                shown += 1
        else:
            told = ""
            for command in (line for line in block.splitlines() if line.startswith(HERE)):
                done = command_server.run(shlex.split(command)[1:], tmp_path)
                assert done.returncode == 0, (command, done.stdout, done.stderr)
                told += " ".join((done.stdout + done.stderr).split()) + " "
    assert shown >= 8
    assert (tmp_path / "report-ada-example-org.html").exists()


def test_make_lists_its_targets_and_knows_them() -> None:
    told = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "test", "lint", "bench", "kafka", "clean"):
        assert f"  {target}" in told
        assert subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_site_is_built_strictly_and_fetches_nothing(tmp_path: Path) -> None:
    """A link or an anchor that leads nowhere fails; whoever reads it asks no other host for a font or a script."""
    command = [
        Path(sys.executable).with_name("mkdocs"),
        "build",
        "--strict",
        "-f",
        ROOT / "infra/docs/mkdocs.yml",
        "-d",
        tmp_path,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        assert not re.search(r'<(?:script|img|iframe)[^>]+src="(?:https?:)?//', page.read_text("utf-8")), page.name
        assert not re.search(r'<link[^>]+rel="stylesheet"[^>]+href="(?:https?:)?//', page.read_text("utf-8")), page.name


def test_generated_files_are_up_to_date() -> None:
    for path, text in generated().items():
        assert path.read_text("utf-8") == text, f"{path.name}: run: make generated"


def test_the_framework_holds_every_item_of_its_source() -> None:
    source = ROOT.parent / "shared" / "framework-source.txt"
    if not source.exists():
        pytest.skip(f"{source} is not here")
    seeds = "\n".join(generated().values()).lower()
    for item in ("data literacy", "programming skills", "machine learning", "deep learning", "model evaluation", "f1",
                 "generative models", "gans", "variational autoencoders", "gpt", "bert", "model training", "mode collapse",
                 "content generation", "ethics and bias", "research and development", "cross-disciplinary", "iot",
                 "blockchain", "scalability", "problem-solving", "collaboration", "communication", "beginner",
                 "intermediate", "advanced", "master", "dall·e", "stylegan", "autonomous agents", "music or art", "pytorch",
                 "tensorflow", "hugging face transformers", "vaes", "jupyter", "google colab", "aws", "azure",
                 "google cloud", "academic research", "open source", "industry trends"):  # fmt: skip
        assert item in seeds, item


@pytest.mark.slow
def test_the_benchmark_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "landing", "--small"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "landing / bare" in done.stdout
    assert (tmp_path / "bench.json").exists()


def test_the_simulation_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.end_to_end.simulation", "--people", "60"], capture_output=True, text=True, check=False, cwd=ROOT
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shares = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| all")]
    assert float(shares[0][3].strip(" %")) > 75
