"""The Helm chart: linted and rendered by Helm itself, and each object held against the schemas of Kubernetes."""

import fcntl
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from flows.settings import Settings

ROOT = Path(__file__).parents[2]
HELM = ROOT / "infra" / "helm"
KUBERNETES = "1.31.0"
pytestmark = pytest.mark.skipif(
    not (shutil.which("javac") and shutil.which("mvn")), reason="needs a JDK and Maven, which fetches Helm"
)


def rendered(*values: str) -> list[dict[str, Any]]:
    libs = HELM / "target" / "libs"
    with (Path(tempfile.gettempdir()) / "proficio-test-helm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not libs.is_dir():
            subprocess.run(["mvn", "-q", "-B", "-f", str(HELM / "pom.xml"), "package"], check=True)
    program = ROOT / "tests" / "infra" / "Chart.java"
    done = subprocess.run(
        ["java", "-cp", f"{libs}/*", str(program), str(HELM / "proficio"), *values],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def named(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in objects}


def test_every_object_is_one_of_kubernetes() -> None:
    everything = ("stream.enabled=true", "landing.workers=3", "receiver.ingress.enabled=true",
                  "receiver.ingress.host=learning.example.org", "receiver.ingress.tlsSecretName=tls", "worker.queues[0]=land",
                  "image.pullSecrets[0].name=registry", "storage.className=nfs")  # fmt: skip
    objects = rendered(*everything)
    for one in objects:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
    several = named(rendered("receiver.replicas=2", "settings=[state]"))["Deployment/proficio-receiver"]["spec"]
    assert (several["replicas"], several["strategy"]["type"]) == (2, "RollingUpdate")
    found = named(objects)
    assert found["Deployment/proficio-landing"]["spec"]["replicas"] == 3
    assert found["Ingress/proficio-receiver"]["spec"]["tls"][0]["hosts"] == ["learning.example.org"]
    worker = found["Deployment/proficio-worker"]["spec"]["template"]["spec"]
    assert worker["containers"][0]["command"][-2:] == ["--work-queue", "land"]
    assert worker["automountServiceAccountToken"]
    for name, one in found.items():
        if one["kind"] == "Deployment" and name != "Deployment/proficio-worker":
            assert not one["spec"]["template"]["spec"]["automountServiceAccountToken"], name


def test_what_it_names_is_there() -> None:
    """Claims, maps, accounts and selectors of the pods; settings that proficio takes."""
    found = named(rendered("landing.workers=1", "stream.enabled=true"))
    for one in [one for one in found.values() if one["kind"] == "Deployment"]:
        pod = one["spec"]["template"]["spec"]
        labels = one["spec"]["template"]["metadata"]["labels"]
        assert one["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert f"ServiceAccount/{pod['serviceAccountName']}" in found
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert f"PersistentVolumeClaim/{volumes['data']['persistentVolumeClaim']['claimName']}" in found
        assert f"ConfigMap/{volumes['settings']['configMap']['name']}" in found
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == set(volumes)
    selector = found["Service/proficio-receiver"]["spec"]["selector"]
    receiver = found["Deployment/proficio-receiver"]["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= receiver.items()
    settings = Settings(**tomllib.loads(found["ConfigMap/proficio-settings"]["data"]["proficio.toml"]))
    assert settings.land.group, "several workers land only as a group"


def test_storage_that_is_there_is_used() -> None:
    found = named(rendered("storage.existingClaim=ours"))
    assert not any(name.startswith("PersistentVolumeClaim/") for name in found)
    pod = found["Deployment/proficio-receiver"]["spec"]["template"]["spec"]
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == "ours"
