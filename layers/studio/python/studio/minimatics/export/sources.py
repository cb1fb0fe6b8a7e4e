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

# Of a container's disk, beside recordings and films: hundreds of pictures may be larger than it.
_KEPT_MAX_BYTES = 10_000_000_000


class DiskError(Exception):
    """The machine's disk is full or broken, which is no fault of what should have been written to it."""


class StoredSources:
    """Objects and presets of one user; each is downloaded once, as long as there is room for pictures.

    Parameters
    ----------
    caller : Caller
    folder : Path
        Where to.
    """

    def __init__(self, caller: Caller, folder: Path) -> None:
        self._caller, self._folder = caller, folder
        self._kept_bytes = 0

    def image(self, key: str) -> bytes:
        """Do what `Sources` says."""
        file = self._file(key)
        data = file.read_bytes()
        if self._kept_bytes > _KEPT_MAX_BYTES:
            file.unlink()
            self._kept_bytes -= len(data)
        return data

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
            try:
                is_there = storage.download(key, file)
            except OSError as error:
                raise DiskError(f"{key} could not be written: {error.strerror}") from error
            if not is_there:
                raise LookupError(key)
            self._kept_bytes += size
        return file
