"""The deployments of prefect.yaml for pools whose runs are containers: infra/prefect/docker.yaml and kubernetes.yaml."""

from pathlib import Path

_PROCESSES = Path(__file__).parent.parent / "prefect.yaml"
_QUEUES = ("land", "estimate", "feedback")
_HOW = {
    "docker": """\
# The deployments of prefect.yaml as containers of the image that infra/Dockerfile makes: see docs/scale.md.
#   prefect work-pool create proficio-docker --type docker
#   prefect --no-prompt deploy --all --prefect-file infra/prefect/docker.yaml
#   prefect worker start --pool proficio-docker
""",
    "kubernetes": """\
# The deployments of prefect.yaml as Kubernetes jobs, beside what infra/helm/proficio installs: see docs/scale.md.
#   prefect work-pool create proficio-kubernetes --type kubernetes --base-job-template infra/prefect/kubernetes-job.json
#   prefect --no-prompt deploy --all --prefect-file infra/prefect/kubernetes.yaml
# The chart's own worker serves the pool.
""",
}
_JOB = {
    "docker": """\
      image: "proficio:latest"
      image_pull_policy: IfNotPresent
      auto_remove: true
      networks: [proficio_default]
      volumes: ["proficio_data:/data", "/etc/proficio:/etc/proficio:ro"]
      env: {PROFICIO_HOME: /data, PROFICIO_CONFIG: /etc/proficio/proficio.toml}
""",
    "kubernetes": """\
      memory_request: 2Gi
      memory_limit: 8Gi
""",
}


def deployments(kind: str) -> str:
    """prefect.yaml with its deployments on the pool of a kind, docker or kubernetes."""
    text = _PROCESSES.read_text("utf-8")
    body = text[text.index("deployments:\n") :]
    pools = "".join(
        f"  {queue}: &{queue}\n    name: proficio-{kind}\n    work_queue_name: {queue}\n    job_variables:\n{_JOB[kind]}"
        for queue in _QUEUES
    )
    return f"""{_HOW[kind]}name: proficio
prefect-version: {text.split("prefect-version: ")[1].split()[0]}

pull:
  - prefect.deployments.steps.set_working_directory: {{directory: /opt/proficio}}

definitions:
{pools}
{body}"""
