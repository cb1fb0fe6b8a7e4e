from pathlib import Path

import boto3
import pytest
from boto3.exceptions import Boto3Error, RetriesExceededError, S3UploadFailedError
from botocore import UNSIGNED
from botocore.config import Config
from botocore.stub import Stubber

from studio.errors import refuse_fields, unavailable_dependency


def test_a_hundred_problems_are_told_and_the_others_counted() -> None:
    problems = [(("shots", number), {"type": "missing", "msg": "Field required"}) for number in range(250)]
    refusal = refuse_fields(problems)
    assert [detail.field for detail in refusal.details] == [f"shots.{number}" for number in range(100)]
    assert refusal.message.endswith("shots.2: Field required; and 247 more")
    assert refuse_fields(problems[:3]).message.endswith("shots.2: Field required")


@pytest.mark.parametrize(("status", "dependency"), [(503, "AWS"), (403, None)])
def test_an_upload_that_s3_refuses_is_down_where_s3_says_so(
    tmp_path: Path, status: int, dependency: str | None
) -> None:
    """boto3 tells of it by an error of its own, without S3's answer."""
    client = boto3.client("s3", region_name="us-east-1", config=Config(signature_version=UNSIGNED))
    (tmp_path / "film.mp4").write_bytes(b"film")
    stub = Stubber(client)
    stub.add_client_error("put_object", "Refused", http_status_code=status)
    with stub, pytest.raises(S3UploadFailedError) as refused:
        client.upload_file(str(tmp_path / "film.mp4"), "bucket", "film.mp4")
    assert unavailable_dependency(refused.value) == dependency


def test_a_download_that_breaks_off_again_and_again_is_aws_being_down() -> None:
    assert unavailable_dependency(RetriesExceededError(Boto3Error())) == "AWS"
