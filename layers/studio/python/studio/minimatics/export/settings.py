"""Settings of exports."""

from pydantic import Field

from studio.settings import Settings


class ExportSettings(Settings):
    """How films are cut, how many segments are rendered at once, and what that is taken to cost."""

    export_frames_max: int = Field(default=216_000, ge=1, description="An hour at 60 frames a second.")
    export_seconds_max: float = Field(
        default=43_200, gt=0, description="Estimated: half of what the state machine may take."
    )
    export_segment_seconds: float = Field(
        default=600,
        gt=0,
        le=1800,
        description="What a segment is to cost, in seconds of one core; a container has several, and half an hour.",
    )
    export_segments_max: int = Field(
        default=1000, ge=1, description="Of more work each beyond; an execution has 25,000 events, and a segment eight."
    )
    export_concurrency: int = Field(default=8, ge=1, le=40, description="Segments at once.")
    export_preview_seconds: float = Field(default=3, gt=0, description="Between two previews of a segment.")
    export_start_seconds: float = Field(default=60, ge=0, description="For Batch to start a container.")
    export_disk_gb: int = Field(default=200, ge=20, description="Of each container, as its job definition has it.")
    # Fargate on demand in us-east-1, Linux on x86.
    export_vcpu_hour_usd: float = Field(default=0.04048, ge=0)
    export_gb_hour_usd: float = Field(default=0.004445, ge=0)
    export_disk_gb_hour_usd: float = Field(default=0.000111, ge=0, description="Beyond the first 20.")
