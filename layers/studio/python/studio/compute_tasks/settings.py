"""Settings of compute tasks and their callbacks."""

from pydantic import Field

from studio.settings import Settings


class ComputeTaskSettings(Settings):
    """Where workers are, and when a job counts as lost."""

    task_worker_function: str | None = Field(default=None, description="Name or ARN of the worker Lambda.")
    run_task_state_machine: str | None = Field(default=None, description="ARN of the state machine for Batch jobs.")
    bulk_grade_state_machine: str | None = Field(default=None, description="ARN of the state machine for many images.")
    minimatics_export_state_machine: str | None = Field(
        default=None, description="ARN of the state machine that exports films."
    )
    heartbeat_seconds: float = Field(default=1, gt=0)
    stale_processing_seconds: float = Field(default=30, gt=0)
    stale_queued_seconds: float = Field(default=120, gt=0)
    never_started_seconds: float = Field(default=3600, gt=0)
    batch_queue_seconds: int = Field(default=3600, ge=1, description="How long a Batch job may wait for a container.")
    concurrent_jobs: int = Field(default=0, ge=0, description="Of one user, that are not over; 0 for no limit.")
    job_ttl_days: int = Field(default=30, ge=1)
    stage: str = Field(default="local", description="Which deployment's faults an alarm tells of.")


class CallbackSettings(Settings):
    """How the end of a job is told to who asked for it."""

    callback_queue_url: str | None = None
    callback_secret: str | None = Field(default=None, repr=False, description="What users' secrets are derived from.")
    callback_secret_arn: str | None = Field(default=None, description="ARN of the secret that holds it.")
    callback_timeout_seconds: float = Field(default=10, gt=0)
    callback_attempts: int = Field(default=8, ge=1, description="What the queue's `maxReceiveCount` is.")
    callback_retry_seconds: int = Field(default=30, ge=0, description="After the first try; doubled after each.")
    callback_retry_max_seconds: int = Field(default=3600, ge=0)
    callback_stale_seconds: float = Field(default=60, gt=0, description="When the clean-up sends what was not sent.")
    callback_private_allowed: bool = Field(default=False, description="http and private addresses too: on one machine.")
