"""S3 refuses what it refuses on AWS: moto by itself lets all of this through."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from botocore.config import Config

from local.stack import Stack
from tests.waiting import until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@pytest.fixture(scope="module")
def bucket(fixture_stack: Stack) -> str:
    return fixture_stack.bucket_name


@pytest.fixture(scope="module")
def s3(fixture_stack: Stack) -> "S3Client":
    return client(fixture_stack)


def client(stack: Stack, access_key: str = "testing", secret: str = "testing", **options: Any) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=stack.aws_endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        config=Config(signature_version="s3v4", **options),
    )


@pytest.fixture
def get_url(s3: "S3Client", bucket: str) -> Iterator[Callable[..., str]]:
    key = "users/é 1+2/photo.jpg"
    s3.put_object(Bucket=bucket, Key=key, Body=b"photo")

    def sign(**options: Any) -> str:
        return s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key}, **options)

    yield sign
    s3.delete_object(Bucket=bucket, Key=key)


def code_of(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"].startswith("application/xml")
    return response.status_code, response.text.partition("<Code>")[2].partition("</Code>")[0]


def test_a_signed_url_is_served(get_url: Callable[..., str], s3: "S3Client", bucket: str) -> None:
    assert httpx.get(get_url()).content == b"photo"
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "put", "ContentType": "image/png"})
    assert httpx.put(put, content=b"x", headers={"Content-Type": "image/png"}).status_code == 200
    assert s3.head_object(Bucket=bucket, Key="put")["ContentType"] == "image/png"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("photo.jpg", "other.jpg"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=36000"),
        ("X-Amz-Signature=", "X-Amz-Signature=0"),
        ("?", "?response-content-type=text%2Fhtml&"),
    ],
)
def test_a_url_that_was_tampered_with_is_refused(get_url: Callable[..., str], old: str, new: str) -> None:
    url = get_url()
    assert old in url
    assert code_of(httpx.get(url.replace(old, new, 1))) == (403, "SignatureDoesNotMatch")


def test_another_method_or_header_than_signed_is_refused(
    get_url: Callable[..., str], s3: "S3Client", bucket: str
) -> None:
    assert code_of(httpx.delete(get_url())) == (403, "SignatureDoesNotMatch")
    put = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "put", "ContentType": "image/png"})
    answer = httpx.put(put, content=b"x", headers={"Content-Type": "text/html"})
    assert code_of(answer) == (403, "SignatureDoesNotMatch")


def test_an_expired_url_is_refused(get_url: Callable[..., str]) -> None:
    url = get_url(ExpiresIn=1)
    until(lambda: httpx.get(url).status_code != 200)
    answer = httpx.get(url)
    assert code_of(answer) == (403, "AccessDenied")
    assert "Request has expired" in answer.text


def test_a_url_for_too_long_is_refused(get_url: Callable[..., str]) -> None:
    assert code_of(httpx.get(get_url(ExpiresIn=604_801))) == (400, "AuthorizationQueryParametersError")


def test_strangers_are_refused(get_url: Callable[..., str], fixture_stack: Stack, bucket: str) -> None:
    assert code_of(httpx.get(get_url().partition("?")[0])) == (403, "AccessDenied")
    params = {"Bucket": bucket, "Key": "x"}
    stranger = client(fixture_stack, access_key="stranger").generate_presigned_url("get_object", Params=params)
    assert code_of(httpx.get(stranger)) == (403, "InvalidAccessKeyId")
    forger = client(fixture_stack, secret="guessed").generate_presigned_url("get_object", Params=params)
    assert code_of(httpx.get(forger)) == (403, "SignatureDoesNotMatch")


def test_the_old_signature_is_refused(fixture_stack: Stack, bucket: str) -> None:
    old = boto3.client(
        "s3",
        endpoint_url=fixture_stack.aws_endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(signature_version="s3"),
    )
    url = old.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "x"})
    assert code_of(httpx.get(url)) == (400, "InvalidRequest")


@pytest.fixture
def post(s3: "S3Client", bucket: str) -> Callable[..., httpx.Response]:
    """Return a function that sends a form that was signed for 10 to 1,000 bytes of PNG."""

    def send(size: int, changed: dict[str, str | None] | None = None, *, expires: int = 60) -> httpx.Response:
        form = s3.generate_presigned_post(
            bucket,
            "users/1/uploads/${filename}",
            Fields={"Content-Type": "image/png"},
            Conditions=[{"Content-Type": "image/png"}, ["content-length-range", 10, 1000]],
            ExpiresIn=expires,
        )
        fields = {name: value for name, value in {**form["fields"], **(changed or {})}.items() if value is not None}
        return httpx.post(form["url"], data=fields, files={"file": ("photo.png", b"x" * size)})

    return send


@pytest.mark.parametrize("size", [10, 1000])
def test_a_signed_form_is_taken(post: Callable[..., httpx.Response], s3: "S3Client", bucket: str, size: int) -> None:
    assert post(size).status_code == 204
    stored = s3.get_object(Bucket=bucket, Key="users/1/uploads/photo.png")
    assert (stored["ContentLength"], stored["ContentType"]) == (size, "image/png")


@pytest.mark.parametrize(
    ("size", "changed", "refusal"),
    [
        (1001, {}, (400, "EntityTooLarge")),
        (9, {}, (400, "EntityTooSmall")),
        (10, {"key": "users/2/uploads/photo.png"}, (403, "AccessDenied")),
        (10, {"Content-Type": "text/html"}, (403, "AccessDenied")),
        (10, {"Content-Type": None}, (403, "AccessDenied")),
        (10, {"x-amz-meta-extra": "1"}, (403, "AccessDenied")),
        (10, {"policy": "e30="}, (400, "InvalidPolicyDocument")),
        (10, {"x-amz-signature": "0"}, (403, "SignatureDoesNotMatch")),
        (10, {"x-amz-signature": None}, (400, "InvalidPolicyDocument")),
        (10, {"policy": None}, (403, "AccessDenied")),
    ],
)
def test_a_form_against_its_policy_is_refused(
    post: Callable[..., httpx.Response], size: int, changed: dict[str, str], refusal: tuple[int, str]
) -> None:
    assert code_of(post(size, changed)) == refusal


def test_an_expired_form_is_refused(post: Callable[..., httpx.Response]) -> None:
    assert code_of(post(10, expires=-1)) == (403, "AccessDenied")


def test_a_buckets_cors_rules_count(get_url: Callable[..., str]) -> None:
    def allowed(origin: str, method: str) -> tuple[int, str | None, str | None]:
        headers = {"Origin": origin, "Access-Control-Request-Method": method}
        preflight = httpx.options(get_url(), headers=headers)
        answer = httpx.get(get_url(), headers={"Origin": origin})
        name = "access-control-allow-origin"
        return preflight.status_code, preflight.headers.get(name), answer.headers.get(name)

    assert allowed("https://studio.example", "PUT") == (200, "https://studio.example", "https://studio.example")
    assert allowed("https://evil.example", "PUT") == (403, None, None)


def test_the_sdk_is_let_through(s3: "S3Client", bucket: str) -> None:
    started = datetime.now(UTC).replace(microsecond=0)
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", Tagging="kind=result")
    assert s3.head_object(Bucket=bucket, Key="a")["LastModified"] >= started
