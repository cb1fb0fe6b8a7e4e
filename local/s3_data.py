"""Keeps a bucket's objects in files from one run to the next: moto holds them in memory."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEPT_HEADERS = ("ContentType", "CacheControl", "ContentDisposition", "ContentEncoding", "Metadata")


def save(s3: "S3Client", bucket: str, folder: Path) -> None:
    """Write every object of a bucket into a folder, in place of what was there."""
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            key = entry["Key"]
            stored = s3.get_object(Bucket=bucket, Key=key)
            # A key may be longer than a file name, or look like a path.
            file = fresh / hashlib.sha256(key.encode()).hexdigest()
            with file.open("wb") as body:
                shutil.copyfileobj(stored["Body"], body)
            facts: dict[str, Any] = {name: stored[name] for name in KEPT_HEADERS if name in stored}  # type: ignore[literal-required]
            tags = s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
            facts["Tagging"] = "&".join(f"{quote(tag['Key'])}={quote(tag['Value'])}" for tag in tags)
            file.with_suffix(".json").write_text(json.dumps({"Key": key, **facts}))
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)


def restore(s3: "S3Client", bucket: str, folder: Path) -> None:
    """Put every object that was saved in a folder into a bucket."""
    for facts in folder.glob("*.json"):
        with facts.with_suffix("").open("rb") as body:
            s3.put_object(Bucket=bucket, Body=body, **json.loads(facts.read_text()))
