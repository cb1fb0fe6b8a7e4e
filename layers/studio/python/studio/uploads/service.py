"""Uploads: how anything big comes in. What exists is what the bucket lists; there is no record beside it."""

from studio import storage
from studio.caller import Caller
from studio.documents import new_id
from studio.errors import TooLargeError
from studio.object_keys import missing, require_own, upload_key
from studio.uploads.models import CreateUploadRequest, CreateUploadResponse, ListUploadsResponse, UploadResponse
from studio.uploads.settings import UploadSettings


def create_upload(caller: Caller, request: CreateUploadRequest) -> CreateUploadResponse:
    """Let the caller send one file by itself.

    Parameters
    ----------
    caller : Caller
    request : CreateUploadRequest

    Returns
    -------
    CreateUploadResponse

    Raises
    ------
    TooLargeError
        If the declared size passes the limit.
    """
    limit = UploadSettings.load().upload_max_bytes
    if request.size_bytes and request.size_bytes > limit:
        raise TooLargeError(
            f"an upload may have {limit:,} bytes; got {request.size_bytes:,}",
            code="UPLOAD_TOO_LARGE",
            field="size_bytes",
        )
    upload_id = new_id("upl")
    key = upload_key(caller.user_id, upload_id)
    presigned = storage.presign_upload(key, request.content_type, limit)
    return CreateUploadResponse(
        upload_id=upload_id,
        image_key=key,
        method=presigned.method,
        url=presigned.url,
        headers=presigned.headers,
        fields=presigned.fields,
        max_bytes=limit,
        expires_at=presigned.expires_at,
    )


def list_uploads(caller: Caller, limit: int, cursor: str | None) -> ListUploadsResponse:
    """List the caller's uploads, oldest first.

    Parameters
    ----------
    caller : Caller
    limit : int
        Size of a page, 1 to 100.
    cursor : str or None
        `next_cursor` of the page before.

    Returns
    -------
    ListUploadsResponse
    """
    prefix = upload_key(caller.user_id, "")
    found = list(storage.list_objects(prefix, limit + 1, prefix + (cursor or "")))
    items = [
        UploadResponse(
            upload_id=item.key.removeprefix(prefix),
            image_key=item.key,
            size_bytes=item.size_bytes,
            created_at=item.modified_at,
        )
        for item in found[:limit]
    ]
    return ListUploadsResponse(items=items, next_cursor=items[-1].upload_id if len(found) > limit else None)


def delete_upload(caller: Caller, upload_id: str) -> None:
    """Delete one of the caller's uploads.

    Parameters
    ----------
    caller : Caller
    upload_id : str

    Raises
    ------
    NotFoundError
        If the caller has no such upload.
    """
    key = upload_key(caller.user_id, upload_id)
    require_own(caller, key, "upload_id")
    if storage.get_size(key) is None:
        raise missing(key, "upload_id")
    storage.delete(key)
