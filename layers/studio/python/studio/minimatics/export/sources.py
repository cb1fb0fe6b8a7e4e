"""What a user's project names, out of the bucket and the database."""

import errno
from pathlib import Path

from studio import storage
from studio.caller import Caller
from studio.errors import NotFoundError
from studio.image_source import ImageSourceSettings
from studio.object_keys import is_own
from studio.tone_mapping.look import Grade
from studio.tone_mapping.presets.files import find_grade


class StoredSources:
    """Objects and presets of one user; each object is downloaded once.

    Parameters
    ----------
    caller : Caller
    folder : Path
        Where to.
    """

    def __init__(self, caller: Caller, folder: Path) -> None:
        self._caller, self._folder = caller, folder

    def image(self, key: str) -> bytes:
        """Do what `Sources` says."""
        return self._file(key).read_bytes()

    def audio(self, key: str) -> Path:
        """Do what `Sources` says."""
        return self._file(key)

    def preset(self, preset_id: str, strength: float) -> Grade:
        """Do what `Sources` says."""
        try:
            return find_grade(self._caller, preset_id, strength)
        except NotFoundError as error:
            raise LookupError(preset_id) from error

    def _file(self, key: str) -> Path:
        file = self._folder / key.replace("/", "-")
        if not file.exists():
            size = storage.get_size(key) if is_own(self._caller, key) else None
            if size is None:
                raise LookupError(key)
            limit = ImageSourceSettings.load().stored_image_max_bytes
            if size > limit:
                raise OSError(errno.EFBIG, f"an object may have {limit:,} bytes; it has {size:,}")
            if not storage.download(key, file):
                raise LookupError(key)
        return file
