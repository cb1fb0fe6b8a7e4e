"""What a result has of objects: it names them by keys, and whoever is answered gets URLs."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_jsonable_python

from studio import storage
from studio.errors import GoneError

# The key of each, and what its URL is called.
_URLS = {
    "result_key": "image_url",
    "manifest_key": "manifest_url",
    "film_key": "film_url",
    "poster_key": "poster_url",
    "edl_key": "edl_url",
    "srt_key": "srt_url",
    "webvtt_key": "webvtt_url",
}


def presign_urls(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result with new presigned URLs, where it has stored pictures or files.

    Parameters
    ----------
    result : dict
    """
    renewed = dict(result)
    for key_name, url_name in _URLS.items():
        if key := result.get(key_name):
            renewed[url_name], expires_at = storage.presign_download(key)
            renewed["expires_at"] = to_jsonable_python(expires_at)
    return renewed


def presign_if_stored(result: dict[str, Any]) -> dict[str, Any]:
    """Return a previous result with a new presigned URL, unless what it leads to has expired.

    Parameters
    ----------
    result : dict

    Raises
    ------
    GoneError
        If its picture or manifest no longer exists: objects live shorter than what names them, and a cache can be
        purged.
    """
    key = _result_key(result)
    if key and storage.get_size(key) is None:
        message = "the result has expired; ask for it again, with another Idempotency-Key where there was one"
        raise GoneError(message, code="RESULT_EXPIRED")
    return presign_urls(result)


def _result_key(result: Mapping[str, Any]) -> str | None:
    return next((key for name in _URLS if (key := result.get(name))), None)
