"""Where the pictures, recordings and presets that a project names come from."""

from pathlib import Path
from typing import Protocol

from studio.minimatics.errors import MediaError
from studio.tone_mapping.look import Grade


class Sources(Protocol):
    """What the renderer asks for; each raises `LookupError` or `OSError` where there is no such thing."""

    def image(self, key: str) -> bytes:
        """Read a picture's file.

        Parameters
        ----------
        key : str
        """

    def audio(self, key: str) -> Path:
        """Tell where a recording's file is.

        Parameters
        ----------
        key : str
        """

    def preset(self, preset_id: str, strength: float) -> Grade:
        """Look a preset up.

        Parameters
        ----------
        preset_id : str
        strength : float
            Percent.
        """


def missing(field: str, key: str, error: LookupError | OSError) -> MediaError:
    """Say that a source lacks what a field names.

    Parameters
    ----------
    field : str
    key : str
    error : LookupError or OSError
    """
    why = getattr(error, "strerror", None) or "there is no such thing"
    return MediaError(field, f"{key} cannot be read: {why}")
