"""The storage module against the embedded S3."""

import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.stack import Stack
from studio import storage
from studio.settings import Settings, forget_secrets
from tests.integration.conftest import aws_of


@pytest.fixture
def configure(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Set the module's environment; what it caches is dropped before and after."""

    def apply(**variables: str) -> None:
        for name, value in ({"BUCKET_NAME": stack.bucket_name} | variables).items():
            monkeypatch.setenv(name, value)
        forget()

    def forget() -> None:
        storage._connect.cache_clear()
        Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]

    for name, value in aws_of(stack).items():
        monkeypatch.setenv(name, value)
    apply()
    yield apply
    monkeypatch.undo()
    forget()


def test_an_object_is_written_read_listed_and_deleted(configure: Any, stack: Stack) -> None:
    key = "users/usr_of_this_test/results/res_1.jpeg"
    assert storage.read(key, 100) is None
    assert storage.get_size(key) is None
    storage.write(key, b"pixels", "image/jpeg", tags={"kind": "result", "note": "a=b c"})
    assert storage.read(key, 100) == (b"pixels", 6)
    assert storage.read(key, 5) == (b"", 6), "too large: told, not read"
    assert storage.get_size(key) == 6
    assert [item.key for item in storage.list_objects("users/usr_of_this_test/", 10)] == [key]
    tags = storage._client().get_object_tagging(Bucket=stack.bucket_name, Key=key)["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"kind": "result", "note": "a=b c"}
    storage.delete(key)
    storage.delete(key)
    assert storage.get_size(key) is None


def test_a_file_goes_to_an_object_and_back_however_big_it_is(configure: Any, stack: Stack, tmp_path: Path) -> None:
    key, file, back = "users/usr_1/jobs/job_1/film.mp4", tmp_path / "film.mp4", tmp_path / "back.mp4"
    assert not storage.download(key, back)
    assert not back.exists()
    file.write_bytes(os.urandom(20_000_000))  # in parts
    storage.upload(key, file, "video/mp4", tags={"kind": "result"})
    assert storage.download(key, back)
    assert back.read_bytes() == file.read_bytes()
    client = storage._client()
    assert client.head_object(Bucket=stack.bucket_name, Key=key)["ContentType"] == "video/mp4"
    tags = client.get_object_tagging(Bucket=stack.bucket_name, Key=key)["TagSet"]
    assert tags == [{"Key": "kind", "Value": "result"}]
    storage.delete(key)


def test_many_objects_are_deleted_at_once_by_md5(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backblaze B2 refuses the CRC that boto3 would send by itself."""
    monkeypatch.setattr(storage, "_MOST_DELETED", 2)
    keys = [f"users/usr_1/results/res_many{number}.png" for number in range(5)]
    for key in keys[:4]:
        storage.write(key, b"pixels", "image/png", tags={})
    sent: list[dict[str, str]] = []
    storage._client().meta.events.register(
        "before-send.s3.DeleteObjects",
        lambda request, **_: sent.append({name.lower(): value for name, value in request.headers.items()}),
    )
    storage.delete_many(keys)
    storage.delete_many([])
    assert not list(storage.list_objects("users/usr_1/results/res_many", 10))
    assert len(sent) == 3
    assert all("content-md5" in headers for headers in sent)
    assert not [name for headers in sent for name in headers if "checksum" in name]


def test_a_download_url_reads_one_object(configure: Any) -> None:
    storage.write("users/usr_1/results/res_2.png", b"pixels", "image/png", tags={})
    url, expires_at = storage.presign_download("users/usr_1/results/res_2.png")
    assert httpx.get(url).content == b"pixels"
    assert httpx.get(url.replace("res_2", "res_3")).status_code in (403, 404)
    assert expires_at.tzinfo is not None


def test_a_store_without_forms_gets_a_put(configure: Any) -> None:
    configure(UPLOAD_METHOD="PUT")
    upload = storage.presign_upload("users/usr_1/uploads/upl_1", "image/png", 100)
    assert (upload.method, upload.fields) == ("PUT", {})
    assert httpx.put(upload.url, content=b"pixels", headers=upload.headers).is_success
    assert storage.read("users/usr_1/uploads/upl_1", 100) == (b"pixels", 6)
    assert httpx.put(upload.url, content=b"pixels", headers={"content-type": "text/html"}).status_code == 403


def test_a_key_of_another_store_that_was_rotated_is_read_anew(configure: Any, stack: Stack) -> None:
    secrets = stack.client("secretsmanager")
    old, new = ({"access_key_id": name, "secret_access_key": "testing"} for name in ("OLDKEY", "NEWKEY"))
    arn = secrets.create_secret(Name=f"store-{uuid.uuid4()}", SecretString=json.dumps(old))["ARN"]
    configure(STORAGE_ENDPOINT_URL=stack.aws_endpoint_url, STORAGE_REGION="us-east-1", STORAGE_SECRET_ARN=arn)
    assert "OLDKEY" in storage.presign_download("users/usr_1/uploads/upl_1")[0]
    secrets.put_secret_value(SecretId=arn, SecretString=json.dumps(new))
    forget_secrets()  # else it is kept for five minutes
    assert "NEWKEY" in storage.presign_download("users/usr_1/uploads/upl_1")[0]


def test_no_checksum_header_is_sent(configure: Any) -> None:
    """Backblaze B2 refuses what boto3 would send by itself."""
    sent: dict[str, str] = {}

    def record(request: Any, **_: Any) -> None:
        sent.update({name.lower(): str(value) for name, value in request.headers.items()})

    storage._client().meta.events.register("before-send.s3.PutObject", record)
    storage.write("users/usr_1/results/res_4.png", b"pixels", "image/png", tags={})
    assert sent
    assert not [name for name in sent if "checksum" in name or name in ("x-amz-trailer", "content-encoding")]


def test_on_aws_a_url_names_the_buckets_region(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    configure(BUCKET_NAME="photos")
    url, _ = storage.presign_download("users/usr_1/uploads/upl_1")
    form = storage.presign_upload("users/usr_1/uploads/upl_1", "image/png", 100)
    assert url.startswith("https://photos.s3.eu-west-1.amazonaws.com/")
    assert form.url == "https://photos.s3.eu-west-1.amazonaws.com/"


def test_what_is_there_is_told_by_few_listings(configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = "users/usr_3/"
    keys = [f"{prefix}uploads/upl_{number:02}" for number in range(40)]
    for key in keys[::2]:
        storage.write(key, b"pixels", "image/png", tags={})
    monkeypatch.setattr(storage, "_MOST_LISTED", 3)
    listings = []
    list_objects = storage.list_objects

    def count(*arguments: Any) -> Any:
        listings.append(arguments)
        return list_objects(*arguments)

    monkeypatch.setattr(storage, "list_objects", count)
    assert storage.find_existing(prefix, keys) == set(keys[::2])
    assert len(listings) == 7
    listings.clear()
    far_apart = [keys[1], keys[38], keys[39], prefix + "results/res_1.png"]
    assert storage.find_existing(prefix, far_apart) == {keys[38]}
    assert len(listings) == 3
    assert storage.find_existing(prefix, []) == set()
    assert len(listings) == 3


def test_a_url_does_not_outlive_the_credentials_that_signed_it() -> None:
    week = {"BUCKET_NAME": "b", "PRESIGNED_URL_SECONDS": str(7 * 24 * 3600)}
    with pytest.raises(ValueError, match="at most 3600 without STORAGE_SECRET_ARN; got 604800"):
        storage.StorageSettings.model_validate(week)
    assert storage.StorageSettings.model_validate(week | {"STORAGE_SECRET_ARN": "arn"}).presigned_url_seconds == 604_800
