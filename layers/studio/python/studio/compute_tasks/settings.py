"""Settings of compute tasks."""

from pydantic import Field

from studio.settings import Settings


class ComputeTaskSettings(Settings):
    """Where workers are, and when a job counts as lost."""

    task_worker_function: str | None = Field(default=None, description="Name or ARN of the worker Lambda.")
    bulk_grade_state_machine: str | None = Field(default=None, description="ARN of the state machine for many images.")
    # Below the 30 s of an HTTP API, with room for the answer.
    wait_timeout_max_seconds: float = Field(default=25, gt=0, le=28)
    heartbeat_seconds: float = Field(default=1, gt=0)
    stale_processing_seconds: float = Field(default=30, gt=0)
    stale_queued_seconds: float = Field(default=120, gt=0)
    job_ttl_days: int = Field(default=30, ge=1)
