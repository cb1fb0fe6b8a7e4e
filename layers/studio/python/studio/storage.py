"""Object storage: S3, Backblaze B2 or any S3-compatible store."""

import base64
import hashlib
import json
import time
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlencode

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from pydantic import Field, model_validator

from studio.observability import tracer
from studio.settings import Settings, get_secret

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

_MOST_DELETED = 1000  # a call, by S3
_MOST_LISTED = 1000

# Until the next bytes of an answer: a big object may take as long as it takes.
_READ_SECONDS, _PATIENT_READ_SECONDS = 4.0, 10.0
_RETRY_SECONDS = 1.5


class StorageSettings(Settings):
    """Which bucket, and how long a presigned URL lives.

    A store other than S3 has an endpoint, a region, and a secret: JSON with ``access_key_id`` and
    ``secret_access_key``. Step Functions reads from S3 only: what it is given is in another bucket then.
    What nobody waits for is patient: it asks again where the store takes a request and does not answer.
    """

    bucket_name: str
    map_bucket_name: str | None = None
    storage_endpoint_url: str | None = None
    storage_region: str | None = None
    storage_secret_arn: str | None = None
    storage_patient: bool = False
    upload_method: Literal["POST", "PUT"] = "POST"
    presigned_url_seconds: int = Field(default=3600, ge=60, le=7 * 24 * 3600)

    @model_validator(mode="after")
    def _check_endpoint(self) -> Self:
        if self.storage_endpoint_url and not (self.storage_secret_arn and self.storage_region):
            # A stranger would be sent the function's own credentials.
            raise ValueError("STORAGE_ENDPOINT_URL takes STORAGE_SECRET_ARN and STORAGE_REGION")
        return self

    @model_validator(mode="after")
    def _check_expiry(self) -> Self:
        if self.presigned_url_seconds > 3600 and not self.storage_secret_arn:
            raise ValueError(
                "a URL signed by a function's role ends with the role's credentials: "
                f"PRESIGNED_URL_SECONDS is at most 3600 without STORAGE_SECRET_ARN; got {self.presigned_url_seconds}"
            )
        return self


@dataclass(frozen=True)
class PresignedUpload:
    """How a client sends an object by itself.

    Attributes
    ----------
    method : {"POST", "PUT"}
    url : str
    headers : dict of str to str
        To send with a PUT.
    fields : dict of str to str
        Form fields of a POST, to send before the file.
    expires_at : datetime
    """

    method: Literal["POST", "PUT"]
    url: str
    headers: dict[str, str]
    fields: dict[str, str]
    expires_at: datetime


@dataclass(frozen=True)
class StoredObject:
    """What a listing tells of an object."""

    key: str
    size_bytes: int
    modified_at: datetime


def _client() -> "S3Client":
    settings = StorageSettings.load()
    secret = get_secret(settings.storage_secret_arn) if settings.storage_secret_arn else "{}"
    return _connect(settings.storage_endpoint_url or None, settings.storage_region or None, secret)


def _s3_client() -> "S3Client":
    return _connect(None, None, "{}")


@lru_cache(maxsize=2)  # a secret that was rotated makes another client
def _connect(endpoint_url: str | None, region: str | None, secret_json: str) -> "S3Client":
    secret = json.loads(secret_json)
    tracer.patch(["botocore"])
    is_patient = StorageSettings.load().storage_patient
    client = boto3.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id=secret.get("access_key_id"),
        aws_secret_access_key=secret.get("secret_access_key"),
        config=Config(
            signature_version="s3v4",
            # On S3, presigned URLs name the bucket's own region: the global endpoint would redirect. Elsewhere, a path
            # is what every store takes.
            s3={"addressing_style": "path" if endpoint_url else "virtual"},
            # B2 and others refuse the checksum trailers that boto3 sends by itself.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            # Also what a write may stand still, by urllib3.
            connect_timeout=2,
            read_timeout=_PATIENT_READ_SECONDS if is_patient else _READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 3},
        ),
    )
    client.meta.events.register("before-call.s3.DeleteObjects", _use_md5)
    if not is_patient:
        client.meta.events.register("before-call.s3", _begin)
        client.meta.events.register_first("needs-retry.s3", _give_up)
    return client


def _begin(params: dict[str, Any], **_: Any) -> None:
    params["context"]["began"] = time.monotonic()


def _give_up(caught_exception: Exception | None, request_dict: dict[str, Any], **_: Any) -> None:
    """Ask no second time what took long to fail: whoever waits for us would wait three times as long."""
    if caught_exception and time.monotonic() - request_dict["context"]["began"] > _RETRY_SECONDS:
        raise caught_exception


def _use_md5(params: dict[str, Any], **_: Any) -> None:
    """Send the MD5 that every store knows; a list of deletions must have a checksum, and boto3's is a CRC."""
    params["headers"]["Content-MD5"] = base64.b64encode(
        hashlib.md5(params["body"], usedforsecurity=False).digest()
    ).decode()
    params["headers"].pop("x-amz-sdk-checksum-algorithm", None)
    params["context"].pop("checksum", None)


def address() -> str:
    """Tell one store from another: where it is, and the bucket.

    Returns
    -------
    str
    """
    return f"{StorageSettings.load().storage_endpoint_url or 's3'}/{_bucket()}"


def _bucket() -> str:
    return StorageSettings.load().bucket_name


def _expiry() -> tuple[int, datetime]:
    seconds = StorageSettings.load().presigned_url_seconds
    return seconds, datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)


def presign_upload(key: str, content_type: str, max_bytes: int) -> PresignedUpload:
    """Let a client send one object: a form with a length range on S3, a PUT on stores without forms (B2).

    Parameters
    ----------
    key : str
    content_type : str
        What the client must declare.
    max_bytes : int
        Enforced by the store for a form; for a PUT only when the object is used.

    Returns
    -------
    PresignedUpload
    """
    seconds, expires_at = _expiry()
    if StorageSettings.load().upload_method == "PUT":
        url = _client().generate_presigned_url(
            "put_object", Params={"Bucket": _bucket(), "Key": key, "ContentType": content_type}, ExpiresIn=seconds
        )
        return PresignedUpload("PUT", url, {"content-type": content_type}, {}, expires_at)
    form = _client().generate_presigned_post(
        _bucket(),
        key,
        Fields={"Content-Type": content_type},
        Conditions=[{"Content-Type": content_type}, ["content-length-range", 1, max_bytes]],
        ExpiresIn=seconds,
    )
    return PresignedUpload("POST", form["url"], {}, dict(form["fields"]), expires_at)


def presign_download(key: str) -> tuple[str, datetime]:
    """Let a client read one object.

    Parameters
    ----------
    key : str

    Returns
    -------
    url : str
    expires_at : datetime
    """
    seconds, expires_at = _expiry()
    url = _client().generate_presigned_url("get_object", Params={"Bucket": _bucket(), "Key": key}, ExpiresIn=seconds)
    return url, expires_at


def get_size(key: str) -> int | None:
    """Size of an object in bytes, or None where there is none.

    Parameters
    ----------
    key : str
    """
    found = _head(key)
    return found["ContentLength"] if found else None


def get_tag(key: str) -> str | None:
    """Entity tag of an object, which changes with its content, or None where there is none.

    Parameters
    ----------
    key : str
    """
    found = _head(key)
    return found["ETag"] if found else None


def _head(key: str) -> "HeadObjectOutputTypeDef | None":
    try:
        return _client().head_object(Bucket=_bucket(), Key=key)
    except ClientError as error:
        if _is_missing(error):
            return None
        raise


def _is_missing(error: ClientError) -> bool:
    return error.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def read(key: str, max_bytes: int, *, for_map: bool = False) -> tuple[bytes, int] | None:
    """Read an object, unless it is larger than allowed.

    Parameters
    ----------
    key : str
    max_bytes : int
    for_map : bool
        Whether it is one that was written so.

    Returns
    -------
    (bytes, int) or None
        Its content (empty where it is too large) and its size in bytes; None where there is no such object.
    """
    client, bucket = _store(for_map=for_map)
    try:
        answer = client.get_object(Bucket=bucket, Key=key)
    except client.exceptions.NoSuchKey:
        return None
    with answer["Body"] as body:
        size = answer["ContentLength"]
        return (body.read() if size <= max_bytes else b""), size


def write(key: str, data: bytes, content_type: str, tags: Mapping[str, str], *, for_map: bool = False) -> None:
    """Store an object.

    Parameters
    ----------
    key : str
    data : bytes
    content_type : str
    tags : mapping of str to str
        Lifecycle rules go by ``kind``. Stores other than S3 are not sent them: B2 and R2 refuse objects that have any.
    for_map : bool
        Whether a state machine's Map reads it, which takes S3.
    """
    client, bucket = _store(for_map=for_map)
    if StorageSettings.load().storage_endpoint_url and not for_map:
        client.put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type)
    else:
        client.put_object(Bucket=bucket, Key=key, Body=data, ContentType=content_type, Tagging=urlencode(tags))


def _store(*, for_map: bool) -> tuple["S3Client", str]:
    settings = StorageSettings.load()
    if for_map and settings.map_bucket_name:
        return _s3_client(), settings.map_bucket_name
    return _client(), settings.bucket_name


def upload(key: str, file: Path, content_type: str, tags: Mapping[str, str]) -> None:
    """Store a file as an object, however big it is; there is all of it, or none.

    Parameters
    ----------
    key : str
    file : Path
    content_type : str
    tags : mapping of str to str
        As of `write`.
    """
    extra = {"ContentType": content_type}
    if not StorageSettings.load().storage_endpoint_url:
        extra["Tagging"] = urlencode(tags)
    _client().upload_file(str(file), _bucket(), key, ExtraArgs=extra)


def download(key: str, file: Path) -> bool:
    """Write an object to a file, however big it is; False where there is no such object.

    Parameters
    ----------
    key : str
    file : Path
    """
    try:
        _client().download_file(_bucket(), key, str(file))
    except ClientError as error:
        if _is_missing(error):
            return False
        raise
    return True


def list_objects(prefix: str, limit: int, start_after: str = "") -> Iterator[StoredObject]:
    """List objects in the order of their keys.

    Parameters
    ----------
    prefix : str
    limit : int
        At most this many, ≤ 1000.
    start_after : str
        Only keys behind this one.

    Yields
    ------
    StoredObject
    """
    answer = _client().list_objects_v2(Bucket=_bucket(), Prefix=prefix, MaxKeys=limit, StartAfter=start_after)
    for item in answer.get("Contents", []):
        yield StoredObject(item["Key"], item["Size"], item["LastModified"])


def find_existing(prefix: str, keys: Collection[str]) -> set[str]:
    """Tell which objects are there, by a listing a thousand: ids sort by time, and what belongs together is close.

    Parameters
    ----------
    prefix : str
        What all the keys begin with.
    keys : collection of str
        ASCII.

    Returns
    -------
    set of str
    """
    wanted = sorted(set(keys))
    there: set[str] = set()
    after = ""
    while wanted:
        page = [item.key for item in list_objects(prefix, _MOST_LISTED, max(after, wanted[0][:-1]))]
        there.update(page)
        if len(page) < _MOST_LISTED:
            break
        after = page[-1]
        wanted = wanted[bisect_right(wanted, after) :]
    return there.intersection(keys)


def delete(key: str) -> None:
    """Delete an object; no error where there is none.

    Parameters
    ----------
    key : str
    """
    _client().delete_object(Bucket=_bucket(), Key=key)


def delete_many(keys: Sequence[str]) -> None:
    """Delete objects; no error for those that are not there.

    Parameters
    ----------
    keys : sequence of str

    Raises
    ------
    botocore.exceptions.ClientError
        If the store refuses one of them.
    """
    for start in range(0, len(keys), _MOST_DELETED):
        batch = keys[start : start + _MOST_DELETED]
        answer = _client().delete_objects(
            Bucket=_bucket(), Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
        )
        if errors := answer.get("Errors"):
            raise ClientError({"Error": {"Code": errors[0]["Code"], "Message": errors[0]["Message"]}}, "DeleteObjects")


def check() -> None:
    """Raise where the bucket does not answer."""
    _client().head_bucket(Bucket=_bucket())
