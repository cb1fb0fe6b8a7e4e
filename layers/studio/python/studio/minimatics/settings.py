"""Settings of minimatics projects."""

from pydantic import Field

from studio.settings import Settings


class ProjectSettings(Settings):
    """How many projects a user may have, of how many versions, and how big one and all of them may be.

    What a project may be at most is bounded by what a function can answer: 6 MB.
    """

    projects_max: int = Field(default=1000, ge=1)
    project_versions_max: int = Field(default=1000, ge=1)
    project_shots_max: int = Field(default=2000, ge=1, le=2000)
    project_max_bytes: int = Field(default=4_000_000, ge=1, le=4_000_000)
    projects_max_bytes: int = Field(default=1_000_000_000, ge=1, description="Of all of a user's, with all versions.")
