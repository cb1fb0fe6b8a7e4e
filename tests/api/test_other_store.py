"""Media in a store that is not S3, through the whole API: one that refuses what Backblaze B2 refuses."""

import base64
import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from local.fixtures import PHOTO
from local.stack import Stack
from studio import storage
from studio.settings import Settings, forget_secrets
from tests.waiting import SECONDS

BUCKET = "photos-at-another-store"
SECRET = {"access_key_id": "key-of-another-store", "secret_access_key": "its secret"}
REGION = "us-west-004"


class Store(ThreadingHTTPServer):
    """A store in front of the embedded S3: what comes is noted, and refused where B2 would refuse it."""

    daemon_threads = True

    def __init__(self, endpoint_url: str) -> None:
        self.host = urlsplit(endpoint_url).netloc
        self.requests: list[tuple[str, str]] = []
        self.refused: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def refusal(self, method: str, path: str, headers: dict[str, str]) -> str | None:
        query = parse_qs(urlsplit(path).query, keep_blank_values=True)
        if checksums := [name for name in headers if "checksum" in name or name in ("x-amz-trailer", "x-amz-tagging")]:
            return f"unsupported header {checksums[0]}"
        if "aws-chunked" in headers.get("content-encoding", "") or "transfer-encoding" in headers:
            return "unsupported encoding"
        if method == "POST" and "delete" not in query:
            return "forms are not supported"
        if method == "POST" and "content-md5" not in headers:
            return "Content-MD5 is missing"
        if not urlsplit(path).path.startswith(f"/{BUCKET}"):
            return "no such bucket"
        credential = query.get("X-Amz-Credential", [headers.get("authorization", "")])[0]
        signed = f"{SECRET['access_key_id']}/" in credential and f"/{REGION}/s3/" in credential
        is_session = "x-amz-security-token" in headers or "X-Amz-Security-Token" in query
        return "the signature is not of this store" if not signed or is_session else None


class _Handler(BaseHTTPRequestHandler):
    server: Store
    protocol_version = "HTTP/1.1"

    def _pass_on(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        self.server.requests.append((self.command, self.path))
        if why := self.server.refusal(self.command, self.path, headers):
            self.server.refused.append(f"{self.command} {self.path}: {why}")
            status, answered, data = 400, {}, b"<Error><Code>InvalidArgument</Code></Error>"
        else:
            connection = http.client.HTTPConnection(self.server.host, timeout=30)
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            status, answered, data = answer.status, dict(answer.getheaders()), answer.read()
            connection.close()
        self.send_response(status)
        length = answered.get("Content-Length", "0") if self.command == "HEAD" else str(len(data))
        kept = {
            name: value for name, value in answered.items() if name.lower() in ("etag", "content-type", "last-modified")
        }
        for name, value in {**kept, "content-length": length}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve(endpoint_url: str) -> Iterator[Store]:
    store = Store(endpoint_url)
    thread = Thread(target=store.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield store
    finally:
        store.shutdown()
        thread.join()
        store.server_close()


@pytest.fixture(scope="module")
def store(stack: Stack) -> Iterator[Store]:
    stack.client("s3").create_bucket(Bucket=BUCKET)
    with serve(stack.aws_endpoint_url) as serving:
        yield serving


@pytest.fixture(scope="module")
def secret_arn(stack: Stack) -> str:
    secrets = stack.client("secretsmanager")
    arn: str = secrets.create_secret(Name="another-store", SecretString=json.dumps(SECRET))["ARN"]
    return arn


@pytest.fixture(scope="module")
def other(store: Store, secret_arn: str) -> Iterator[Stack]:
    """A stack whose media are in the store."""
    parameters = {
        "StorageEndpointUrl": store.url,
        "StorageRegion": REGION,
        "StorageBucketName": BUCKET,
        "StorageSecretArn": secret_arn,
    }
    with Stack(parameters=parameters) as running:
        yield running


@pytest.fixture(scope="module")
def http_client(other: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=other.url, timeout=60) as client:
        login = {"email": "other-store@example.com", "password": "of the other store's test"}
        client.post("/auth/register", json=login).raise_for_status()
        client.headers["X-API-KEY"] = client.post("/auth/login", json=login).raise_for_status().json()["api_key"]
        yield client


def upload(client: httpx.Client) -> str:
    form = client.post("/uploads", json={"content_type": "image/jpeg"}).raise_for_status().json()
    assert (form["method"], form["fields"]) == ("PUT", {})
    httpx.put(form["url"], content=PHOTO.read_bytes(), headers=form["headers"]).raise_for_status()
    key: str = form["image_key"]
    return key


def test_everything_is_kept_in_the_other_store(
    http_client: httpx.Client, store: Store, stack: Stack, other: Stack
) -> None:
    assert http_client.get("/health").json()["status"] == "ok"
    key = upload(http_client)
    [listed] = http_client.get("/uploads").raise_for_status().json()["items"]
    assert (listed["image_key"], listed["size_bytes"]) == (key, PHOTO.stat().st_size)
    request = {"image_key": key, "adjustments": {"exposure": 0.5}, "output": {"delivery": "url"}}
    graded = http_client.post("/tone-mapping/adjust", json=request).raise_for_status().json()
    picture = httpx.get(graded["image_url"]).raise_for_status()
    assert len(picture.content) == graded["size_bytes"]
    assert http_client.post("/tone-mapping/adjust", json=request).raise_for_status().json()["cache"] == "hit"
    inline = base64.b64encode(PHOTO.read_bytes()).decode()
    job = {**request, "image": inline, "use_container": True, "wait_for_result": True}
    del job["image_key"]
    done = http_client.post("/tone-mapping/adjust", json=job)
    assert done.status_code == 200, done.text
    s3 = stack.client("s3")
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="users/")["KeyCount"] >= 3
    assert s3.list_objects_v2(Bucket=other.bucket_name)["KeyCount"] == 0, "nothing is in the stack's own bucket"
    assert http_client.delete("/tone-mapping/cache").raise_for_status().json()["entries"] >= 1
    assert httpx.get(graded["image_url"]).status_code == 404
    assert http_client.delete(f"/uploads/{listed['upload_id']}").status_code == 204
    gone = http_client.post("/tone-mapping/adjust", json=request)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "OBJECT_NOT_FOUND")
    sent = {(method, "delete" in urlsplit(path).query) for method, path in store.requests}
    assert sent >= {("PUT", False), ("GET", False), ("HEAD", False), ("DELETE", False), ("POST", True)}
    assert store.refused == []


def test_bulk_grading_reads_and_writes_there_too(
    http_client: httpx.Client, store: Store, stack: Stack, other: Stack
) -> None:
    keys = [upload(http_client), upload(http_client)]
    body = {"task_type": "adjust", "image_keys": keys, "parameters": {"adjustments": {"exposure": 0.3}}}
    job = http_client.post("/tone-mapping/bulk", json=body).raise_for_status().json()
    deadline = time.monotonic() + SECONDS
    while http_client.get(job["status_url"]).json()["status"] in ("QUEUED", "PROCESSING"):
        assert time.monotonic() < deadline, "the job did not end"
        time.sleep(0.2)
    result = http_client.get(f"/compute-tasks/{job['job_id']}/result").raise_for_status().json()
    assert result["counts"] == {"total": 2, "completed": 2, "failed": 0}
    told = httpx.get(result["manifest_url"]).raise_for_status().json()
    s3 = stack.client("s3")
    assert all(s3.head_object(Bucket=BUCKET, Key=item["result_key"]) for item in told["items"])
    # What Step Functions reads must be in S3.
    names = {item["Key"].rpartition("/")[2] for item in s3.list_objects_v2(Bucket=other.bucket_name)["Contents"]}
    assert "manifest.json" in names
    assert "result.json" not in names
    assert store.refused == []


@pytest.fixture
def configure(stack: Stack, secret_arn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Set the storage module's environment; what it caches is dropped before and after."""

    def forget() -> None:
        storage._connect.cache_clear()
        forget_secrets()
        Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]

    def apply(endpoint_url: str) -> None:
        monkeypatch.setenv("STORAGE_ENDPOINT_URL", endpoint_url)
        forget()

    for name, value in {
        "AWS_ENDPOINT_URL": stack.aws_endpoint_url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "of-the-role",
        "AWS_SECRET_ACCESS_KEY": "of-the-role",
        "AWS_SESSION_TOKEN": "of-the-role",
        "BUCKET_NAME": BUCKET,
        "STORAGE_REGION": REGION,
        "STORAGE_SECRET_ARN": secret_arn,
        "UPLOAD_METHOD": "PUT",
    }.items():
        monkeypatch.setenv(name, value)
    yield apply
    monkeypatch.undo()
    forget()


def test_the_roles_own_credentials_stay_with_aws(configure: Any, store: Store) -> None:
    configure(store.url)
    key = "users/usr_of_this_test/results/res_1.png"
    storage.write(key, b"pixels", "image/png", tags={"kind": "result"})
    assert storage.read(key, 100) == (b"pixels", 6)
    storage.delete_many([key, "users/usr_of_this_test/results/res_2.png"])
    assert storage.get_size(key) is None
    assert store.refused == []


def test_urls_are_signed_for_the_stores_own_region_and_by_path(configure: Any) -> None:
    configure("https://s3.us-west-004.backblazeb2.com")
    for url in (storage.presign_download("users/a")[0], storage.presign_upload("users/a", "image/png", 9).url):
        parts = urlsplit(url)
        assert (parts.netloc, parts.path) == ("s3.us-west-004.backblazeb2.com", f"/{BUCKET}/users/a")
        [credential] = parse_qs(parts.query)["X-Amz-Credential"]
        assert credential.startswith("key-of-another-store/")
        assert credential.endswith("/us-west-004/s3/aws4_request")
        assert "X-Amz-Security-Token" not in url
        assert "checksum" not in url.lower()


@pytest.mark.parametrize("missing", ["STORAGE_SECRET_ARN", "STORAGE_REGION"])
def test_an_endpoint_is_never_sent_the_roles_credentials(
    configure: Any, store: Store, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(missing, "")
    configure(store.url)
    before = len(store.requests)
    with pytest.raises(ValueError, match="STORAGE_ENDPOINT_URL takes"):
        storage.check()
    assert len(store.requests) == before
