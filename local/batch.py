"""Batch on this machine: a job's container is a process, the entry point of its image."""

import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request, Response

from local.lambda_runtime import CREDENTIALS
from local.layers import container_path
from local.processes import spawn
from local.servers import refusal
from local.template import ACCOUNT_ID, REGION, JobDefinitionResource

PATHS = {"/v1/submitjob", "/v1/describejobs", "/v1/terminatejob"}
MAX_CONTAINERS = 2  # at once; what is more is RUNNABLE
STOP_SECONDS = 30  # from SIGTERM to SIGKILL
EXITED = "Essential container in task exited"


class Batch:
    """Runs the jobs that are submitted to it.

    Parameters
    ----------
    definitions
        What there is to run.
    environment
        What the stack adds to the environment of every container.
    log
        The file that their output is appended to.
    echo
        Whether their output goes to the console instead.
    """

    def __init__(
        self, definitions: Sequence[JobDefinitionResource], environment: Mapping[str, str], log: Path, *, echo: bool
    ) -> None:
        self.environment, self.log, self.echo = environment, log, echo
        self.room = ThreadPoolExecutor(MAX_CONTAINERS, "batch")
        # A name without revision is the newest, and there is but one.
        self._definitions = {
            name: definition for definition in definitions for name in (definition.arn, definition.name)
        }
        self._jobs: dict[str, _Job] = {}

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the containers that run now, by their jobs' names."""
        return {job.detail["jobName"]: pid for job in list(self._jobs.values()) if (pid := job.pid)}

    def answer(self, request: Request) -> Response:
        """Answer one of the requests that go to `PATHS`."""
        body = json.loads(request.get_data() or b"{}")
        match request.path:
            case "/v1/submitjob":
                definition = self._definitions.get(body["jobDefinition"])
                if definition is None:
                    return refusal(400, "ClientException", f"JobDefinition: {body['jobDefinition']} not found")
                job = _Job(self, definition, body)
                self._jobs[job.detail["jobId"]] = job
                return _answer({name: job.detail[name] for name in ("jobArn", "jobId", "jobName")})
            case "/v1/describejobs":
                return _answer({"jobs": [self._jobs[name].detail for name in body["jobs"] if name in self._jobs]})
            case _:
                if found := self._jobs.get(body["jobId"]):
                    found.terminate(body["reason"])
                return _answer({})

    def close(self) -> None:
        """Kill all containers."""
        for job in self._jobs.values():
            job.terminate("the stack is stopped", patience=0)
        self.room.shutdown()


class _Job:
    """A job, from its submission to its end.

    Attributes
    ----------
    detail : dict
        What DescribeJobs tells.
    pid : int or None
        Of its container, while that runs.
    """

    def __init__(self, batch: Batch, definition: JobDefinitionResource, order: dict[str, Any]) -> None:
        self._batch, self._definition = batch, definition
        self._terminated = threading.Event()
        self._patience: float = STOP_SECONDS
        self.pid: int | None = None
        job_id = str(uuid.uuid4())
        overrides = order.get("containerOverrides", {})
        own = {item["name"]: item["value"] for item in overrides.get("environment", [])}
        environment = definition.environment | own
        container = {
            "image": definition.image,
            "environment": [{"name": name, "value": value} for name, value in environment.items()],
            "resourceRequirements": overrides.get("resourceRequirements", []),
        }
        self.detail: dict[str, Any] = {
            "jobArn": f"arn:aws:batch:{REGION}:{ACCOUNT_ID}:job/{job_id}",
            "jobId": job_id,
            "jobName": order["jobName"],
            "jobQueue": order["jobQueue"],
            "jobDefinition": definition.arn,
            "status": "RUNNABLE",
            "createdAt": _now(),
            "attempts": [],
            "container": container,
            "timeout": order.get("timeout", {}),
            "isTerminated": False,
        }
        self._running = batch.room.submit(self._run)  # where there is room

    def terminate(self, reason: str, patience: float | None = None) -> None:
        """End the job, unless it has ended; its container gets SIGTERM, and SIGKILL when it is out of patience."""
        self.detail.setdefault("statusReason", reason)
        self.detail["isTerminated"] = True
        self._patience = STOP_SECONDS if patience is None else patience
        self._terminated.set()
        if self._running.cancel():  # it had not begun
            self.detail |= {"status": "FAILED", "stoppedAt": _now()}

    def _run(self) -> None:
        while self._attempt(len(self.detail["attempts"]) + 1):
            pass

    def _attempt(self, number: int) -> bool:
        """Run a container to its end, and return whether there is to be another one."""
        self.detail["status"] = "STARTING"
        self.detail.setdefault("startedAt", _now())
        started = _now()
        code, reason = self._run_container(number)
        container = {"exitCode": code, "logStreamName": f"{self._definition.name}/default/{uuid.uuid4().hex}"}
        attempt = {"container": container, "startedAt": started, "stoppedAt": _now(), "statusReason": reason}
        self.detail["attempts"] = [*self.detail["attempts"], attempt]
        self.detail["container"] = self.detail["container"] | container
        is_over = self._terminated.is_set() or reason != EXITED or number >= self._definition.attempts
        if code and not is_over and retries(self._definition.evaluate_on_exit, code, reason):
            return True
        # The status comes last: whoever asks meanwhile sees the whole, or none of it.
        self.detail |= {"stoppedAt": _now(), "statusReason": self.detail.get("statusReason", reason)}
        self.detail["status"] = "SUCCEEDED" if code == 0 and not self._terminated.is_set() else "FAILED"
        return False

    def _run_container(self, number: int) -> tuple[int, str]:
        """Return exit code and reason of a container."""
        deadline = time.monotonic() + self.detail["timeout"].get("attemptDurationSeconds", math.inf)
        own = {item["name"]: item["value"] for item in self.detail["container"]["environment"]}
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PYTHONPATH": ":".join(map(str, container_path(self._definition.folder))),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            **CREDENTIALS,
            **self._batch.environment,
            **own,
            "AWS_BATCH_JOB_ID": self.detail["jobId"],
            "AWS_BATCH_JOB_ATTEMPT": str(number),
        }
        with self._batch.log.open("ab") as log:
            output = sys.stderr.fileno() if self._batch.echo else log
            process = spawn(entry_point(self._definition.folder), output=output, environment=environment)
        self.pid, self.detail["status"] = process.pid, "RUNNING"
        reason = EXITED
        while process.poll() is None and not self._terminated.wait(0.02):
            if time.monotonic() > deadline:
                reason = "Job attempt duration exceeded timeout"
                break
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(self._patience)
        # With all that it has started: so ends a container, too.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        self.pid = None
        return (128 - code if code < 0 else code), reason


def entry_point(folder: Path) -> list[str]:
    """Return the entry point of the image that a folder's Dockerfile makes."""
    found = re.search(r"^ENTRYPOINT (\[.*\])$", (folder / "Dockerfile").read_text(), re.MULTILINE)
    if found is None:
        raise ValueError(f"{folder}/Dockerfile has no ENTRYPOINT [...]")
    program, *arguments = json.loads(found[1])
    # -S: no site-packages of the development environment; -P: nothing from the working directory.
    return [sys.executable, "-S", "-P", *arguments] if program == "python" else [program, *arguments]


def retries(rules: Sequence[Mapping[str, str]], code: int | None, status_reason: str) -> bool:
    """Return what the first of a retry strategy's rules that matches says; without one, a job is tried again.

    Parameters
    ----------
    rules
        As the template has them in EvaluateOnExit.
    code
        Of the container; None where it never started.
    status_reason
        Of the attempt.
    """
    actual = {"OnExitCode": "" if code is None else str(code), "OnStatusReason": status_reason, "OnReason": ""}
    for rule in rules:
        if all(fnmatchcase(actual[name], pattern) for name, pattern in rule.items() if name != "Action"):
            return rule["Action"].upper() == "RETRY"
    return True


def _answer(content: object) -> Response:
    return Response(json.dumps(content), content_type="application/json")


def _now() -> int:
    return int(time.time() * 1000)
