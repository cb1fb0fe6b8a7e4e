"""Settings of presets."""

from pydantic import Field

from studio.settings import Settings


class PresetSettings(Settings):
    """How many presets a user may have, and how big a file of one may be."""

    presets_max: int = Field(default=1000, ge=1)
    preset_file_max_bytes: int = Field(default=20_000_000, ge=1)
