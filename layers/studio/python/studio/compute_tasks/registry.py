"""Every task that can run as a job: one entry each.

A task is added by an entry here, its request's model, and a function that takes the caller, the request and a
`Reporter`, and returns the answer's model.
"""

import time
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from pydantic import BaseModel

from studio.caller import Caller
from studio.compute_tasks.models import Progress, Target

BATCH_ATTEMPTS = 3  # of RunTaskJobDefinition


class Reporter:
    """How a running task tells how far it is.

    Attributes
    ----------
    job_id : str
    progress : Progress
        What was reported last.
    """

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.progress = Progress()
        self._started = time.monotonic()

    def __call__(self, percent: float, stage: str) -> None:
        """Report; it costs nothing, for the worker's heartbeat is what writes it.

        Parameters
        ----------
        percent : float
            0..100.
        stage : str
            A word or two for people.
        """
        elapsed = time.monotonic() - self._started
        eta = round(elapsed * (100 - percent) / percent, 1) if percent > 0 else None
        self.progress = Progress(percent=percent, stage=stage, eta_seconds=eta)


@dataclass(frozen=True)
class Resources:
    """What a Batch job of the task asks for; of vCPUs and memory, Fargate takes certain pairs only."""

    vcpu: float = 1
    memory_mb: int = 2048


@dataclass(frozen=True)
class Task:
    """One kind of work.

    Attributes
    ----------
    request, function : str
        ``module:name`` of the request's model and of the task's function; loaded when they are needed, so that an
        API function that only starts jobs does not import what runs them. A task of a state machine has no function.
    scope : str
        What the key of whoever starts it must have.
    targets : tuple of str
        Where it may run; the first is the default. `service.choose_target` takes another one on request.
    timeout_seconds : float
        Of one attempt.
    attempts : int
        How many there are where one after the other is lost or crashes; refusals (a 4xx) are final. As BATCH, where
        Batch starts them, at most `BATCH_ATTEMPTS`.
    state_machine : str
        Name of the field of `ComputeTaskSettings` that has the ARN of the state machine that runs it; empty where
        there is none of its own: the worker runs it, or, as BATCH, the state machine for any task.
    enabled : bool
        A disabled task is refused, and costs nothing.
    """

    request: str
    function: str = ""
    scope: str = "grade"
    targets: tuple[Target, ...] = ("LAMBDA",)
    timeout_seconds: float = 300
    attempts: int = 3
    resources: Resources = Resources()
    state_machine: str = ""
    enabled: bool = True

    def __post_init__(self) -> None:
        if "BATCH" in self.targets and self.attempts > BATCH_ATTEMPTS:
            raise ValueError(f"Batch makes {BATCH_ATTEMPTS} attempts at most; got {self.attempts}")

    def run(self, caller: Caller, payload: dict[str, Any], report: Reporter) -> BaseModel:
        """Run the task in this process.

        Parameters
        ----------
        caller : Caller
        payload : dict
            Of the request's model.
        report : Reporter

        Returns
        -------
        pydantic.BaseModel
        """
        request = resolve_name(self.request).model_validate(payload)
        answer: BaseModel = resolve_name(self.function)(caller, request, report)
        return answer


_GRADING = Resources(vcpu=2, memory_mb=8192)

TASKS: dict[str, Task] = {
    "auto_correct": Task(
        request="studio.tone_mapping.models:AutoCorrectRequest",
        function="studio.tone_mapping.tasks:auto_correct",
        targets=("LAMBDA", "BATCH"),
        resources=_GRADING,
    ),
    "adjust": Task(
        request="studio.tone_mapping.models:AdjustRequest",
        function="studio.tone_mapping.tasks:adjust",
        targets=("LAMBDA", "BATCH"),
        resources=_GRADING,
    ),
    "apply_preset": Task(
        request="studio.tone_mapping.models:ApplyPresetRequest",
        function="studio.tone_mapping.tasks:apply_preset",
        targets=("LAMBDA", "BATCH"),
        resources=_GRADING,
    ),
    "bulk_grade": Task(
        request="studio.tone_mapping.bulk.models:BulkJob",
        timeout_seconds=86_400,
        state_machine="bulk_grade_state_machine",
    ),
    # Of this one, timeout, attempts and resources are those of each of its containers.
    "minimatics_export": Task(
        request="studio.minimatics.export.models:ExportJob",
        scope="export",
        targets=("BATCH",),
        timeout_seconds=1800,
        resources=Resources(vcpu=2, memory_mb=4096),
        state_machine="minimatics_export_state_machine",
    ),
}
