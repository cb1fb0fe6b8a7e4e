"""Names of objects in the bucket: everything of a user is under ``users/<user_id>/``."""

import re

from studio.caller import Caller
from studio.errors import NotFoundError

_OWN = re.compile(r"users/(?P<user_id>usr_[0-9a-f]{24})/(uploads|results|inputs)/[0-9a-z_]+(\.[a-z]+)?")


def own_prefix(user_id: str) -> str:
    """Prefix of the keys of all of a user's objects.

    Parameters
    ----------
    user_id : str
    """
    return f"users/{user_id}/"


def upload_key(user_id: str, upload_id: str) -> str:
    """Key of an upload.

    Parameters
    ----------
    user_id, upload_id : str
    """
    return f"users/{user_id}/uploads/{upload_id}"


def result_key(user_id: str, result_id: str, extension: str) -> str:
    """Key of a result.

    Parameters
    ----------
    user_id, result_id, extension : str
    """
    return f"users/{user_id}/results/{result_id}.{extension}"


def input_key(user_id: str, input_id: str) -> str:
    """Key of an image that came inline with the request of a job; it is among no uploads.

    Parameters
    ----------
    user_id, input_id : str
    """
    return f"users/{user_id}/inputs/{input_id}"


def preset_key(user_id: str, preset_id: str) -> str:
    """Key of a preset's LUT; no request can name it as an image.

    Parameters
    ----------
    user_id, preset_id : str
    """
    return f"users/{user_id}/presets/{preset_id}"


def job_key(user_id: str, job_id: str, name: str) -> str:
    """Key of what belongs to a job; no request can name it as an image.

    Parameters
    ----------
    user_id, job_id, name : str
    """
    return f"users/{user_id}/jobs/{job_id}/{name}"


def require_own(caller: Caller, key: str, field: str) -> None:
    """Refuse a key that is not exactly the form of one of the caller's own objects.

    Parameters
    ----------
    caller : Caller
    key : str
    field : str
        Named in the error.

    Raises
    ------
    NotFoundError
        The same for what is another user's and for what does not exist.
    """
    if not is_own(caller, key):
        raise missing(key, field)


def is_own(caller: Caller, key: str) -> bool:
    """Tell whether a key is exactly the form of one of the caller's own objects.

    Parameters
    ----------
    caller : Caller
    key : str
    """
    match = _OWN.fullmatch(key)
    return match is not None and match["user_id"] == caller.user_id


def require_upload(caller: Caller, key: str, field: str) -> None:
    """Refuse a key that is not exactly the form of one of the caller's uploads: results are refused, too.

    Parameters
    ----------
    caller : Caller
    key : str
    field : str
        Named in the error.

    Raises
    ------
    NotFoundError
        The same for what is another user's and for what does not exist.
    """
    require_own(caller, key, field)
    if not key.startswith(upload_key(caller.user_id, "")):
        raise missing(key, field)


def missing(key: str, field: str) -> NotFoundError:
    """Error for an object that the caller does not have.

    Parameters
    ----------
    key, field : str
    """
    return NotFoundError(f"you have no object {key[:200]}", code="OBJECT_NOT_FOUND", field=field)
