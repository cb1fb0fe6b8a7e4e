"""The images of Batch jobs, built of what a deployment uploads, and jobs that run in them on the embedded stack.

Where the public base image cannot be pulled, a stand-in is made of Lambda's, which is Debian bookworm there.
"""

import io
import json
import os
import shutil
import subprocess
import sysconfig
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import batch
from local.images import Image, list_images
from local.lambda_runtime import CREDENTIALS
from local.stack import Stack
from tests.api.test_batch import Machine, without_room
from tests.api.test_compute_tasks import body, slow
from tests.api.test_export import Exports, exports
from tests.conftest import User
from tests.unit.minimatics import judge
from tests.waiting import until

__all__ = ["exports"]  # a fixture

BASE = "public.ecr.aws/docker/library/python:3.11-slim-bookworm"
PULL_SECONDS = 120
BUILD_SECONDS = 900
JOB_SECONDS = 480
STAND_IN = "studio-python-stand-in"
STAND_IN_DOCKERFILE = r"""
FROM public.ecr.aws/lambda/python:3.11-x86_64
COPY pip /usr/local/lib/python3.11/dist-packages/pip
COPY certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN ln -s /usr/bin/python3.11 /usr/local/bin/python \
    && printf '#!/bin/sh\nexec python -m pip "$@"\n' > /usr/local/bin/pip && chmod 755 /usr/local/bin/pip \
    && rm -f /usr/lib/python3.11/EXTERNALLY-MANAGED
WORKDIR /
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt PIP_ROOT_USER_ACTION=ignore
"""
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def docker(*arguments: str | Path, timeout: float = 240) -> str:
    finished = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout)
    assert finished.returncode == 0, f"{finished.stdout[-4000:]}\n{finished.stderr[-4000:]}"
    return finished.stdout.strip()


def is_there(image: str) -> bool:
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True).returncode == 0


def can_be_pulled(image: str) -> bool:
    try:
        return subprocess.run(["docker", "pull", "--quiet", image], timeout=PULL_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def kill(container: str) -> bool:
    """Return whether a container ran, which does no more."""
    return subprocess.run(["docker", "kill", container], capture_output=True, timeout=240).returncode == 0


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    if is_there(BASE) or can_be_pulled(BASE):
        return BASE
    context = tmp_path_factory.mktemp("base")
    shutil.copytree(Path(sysconfig.get_path("purelib"), "pip"), context / "pip")
    shutil.copy(CERTIFICATES, context / "certificates.crt")
    # Where this machine installs from, it says to pip by its environment.
    names = [name for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL") if name in os.environ]
    variables = "".join(f"ENV {name}={os.environ[name]}\n" for name in names)
    (context / "Dockerfile").write_text(STAND_IN_DOCKERFILE + variables)
    docker("build", "--quiet", "--tag", STAND_IN, context, timeout=BUILD_SECONDS)
    return STAND_IN


@pytest.fixture(scope="module")
def built(base: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Names of the images of all containers, by those of their state machines."""
    names = {}
    for image in list_images():
        context = tmp_path_factory.mktemp(image.name)
        with zipfile.ZipFile(io.BytesIO(image.archive())) as archive:
            archive.extractall(context)
        names[image.name] = f"studio-test/{image.name}:{image.tag}"
        command = ["build", "--network", "host", "--build-arg", f"BASE={base}", "--tag", names[image.name]]
        docker(*command, "--file", context / image.dockerfile, context, timeout=BUILD_SECONDS)
    return names


@pytest.mark.parametrize("image", list_images(), ids=lambda image: image.name)
def test_an_image_has_all_that_its_entry_point_imports(image: Image, built: Mapping[str, str]) -> None:
    *_, module = batch.entry_point(image.root / image.folder)
    assert docker("image", "inspect", "--format", "{{.Config.User}}", built[image.name]) == "nobody"
    command = ["run", "--rm", "--network", "none", "--read-only", "--entrypoint", "python", built[image.name]]
    assert docker(*command, "-c", f"import {module}; print({module}.__name__)") == module


@pytest.fixture
def machine(stack: Stack, user: User) -> Iterator[Machine]:
    """The state machine for any task, without a place for a container of the stack's own."""
    with without_room(stack):
        yield Machine(stack, user)


def submit(machine: Machine, request: dict[str, Any], image: str) -> tuple[str, list[str]]:
    """Return a job that Batch has, and what starts its container as Batch would."""
    job_id = machine.submit(request)
    [submitted] = until(lambda: machine.events(job_id, "TaskSubmitted"))
    batch_id = json.loads(submitted["taskSubmittedEventDetails"]["output"])["JobId"]
    [job] = machine.batch.describe_jobs(jobs=[batch_id])["jobs"]
    variables = {item["name"]: item["value"] for item in job["container"]["environment"]}
    variables |= {**CREDENTIALS, "AWS_ENDPOINT_URL": machine.stack.aws_endpoint_url}
    pairs = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    return job_id, ["run", "--init", "--network", "host", *pairs, image]


def test_a_job_runs_in_its_image(machine: Machine, built: Mapping[str, str], user: User) -> None:
    job_id, [run, *arguments] = submit(machine, body(), built["run_task"])
    docker(run, "--rm", *arguments, timeout=JOB_SECONDS)
    job = machine.status(job_id)
    assert (job["status"], job["target"], job["attempt"], job["error"]) == ("COMPLETED", "BATCH", 1, None)
    result = user.http.get(job["result_url"]).raise_for_status().json()
    assert result["adjustments"]["exposure"] == -1
    assert httpx.get(result["image_url"]).raise_for_status().headers["content-type"] == "image/png"


def test_a_container_that_is_stopped_leaves_its_job_to_the_next(machine: Machine, built: Mapping[str, str]) -> None:
    job_id, [run, *arguments] = submit(machine, slow(), built["run_task"])
    container = docker(run, "--detach", *arguments)
    try:
        until(lambda: machine.status(job_id)["status"] == "PROCESSING")
        docker("stop", "--time", "30", container)
        assert docker("inspect", "--format", "{{.State.ExitCode}}", container) == "143"
    finally:
        docker("rm", "--force", container)
    job = machine.status(job_id)
    assert (job["status"], job["attempt"]) == ("QUEUED", 2)
    docker(run, "--rm", *arguments, timeout=JOB_SECONDS)
    assert machine.status(job_id)["status"] == "COMPLETED"


def test_a_film_is_exported_by_its_image(
    exports: Exports, built: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stack's Batch starts the image in place of a process; one of the segments' containers is stopped."""
    own = ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_BATCH_JOB_ID", "AWS_BATCH_JOB_ATTEMPT"]
    own += ["JOB_ID", "SEGMENT", *CREDENTIALS]
    started: list[str] = []

    def in_its_image(folder: Path) -> list[str]:
        assert folder.parent.name == "minimatics_export"
        definition = next(found for found in exports.stack._batch._definitions.values() if found.folder == folder)  # type: ignore[union-attr]
        started.append(f"studio-test-{uuid.uuid4().hex}")
        variables = [word for name in (*definition.environment, *own) for word in ("--env", name)]
        limits = ["--memory", "4g", "--read-only", "--tmpfs", "/tmp"]
        command = ["docker", "run", "--rm", "--init", "--network", "host", "--name", started[-1], *limits, *variables]
        return [*command, built["minimatics_export"]]

    monkeypatch.setattr(batch, "entry_point", in_its_image)
    job_id = exports.submit()
    exports.rendering(job_id)
    until(lambda: any(kill(name) for name in started))
    job = exports.ended(job_id)
    assert (job["status"], job["error"], job["attempt"], job["target"]) == ("COMPLETED", None, 1, "BATCH")
    assert len(started) >= 5, "three segments, the film, and one of them again"
    assert judge.frame_hashes(exports.download(job)) == judge.frame_hashes(exports.rendered_here())
