"""Callbacks the whole way: a job over HTTP, its end, the queue, the function behind it, a receiver on this machine."""

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local.stack import Stack
from studio.object_keys import upload_key
from tests.api.test_compute_tasks import ADJUST, body, slow
from tests.waiting import until

ATTEMPTS = 3
GUIDE = (Path(__file__).parents[2] / "functions/README.md").read_text()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack that tries at once again, and only three times; cancelling does not reach its queue.

    Its clean-up comes when it is asked for only: it would tell what the queue did not before that is seen.
    """
    with Stack(scheduled=False) as running:
        deliver = running.functions["DeliverCallbackFunction"].environment
        deliver |= {"CALLBACK_ATTEMPTS": str(ATTEMPTS), "CALLBACK_RETRY_SECONDS": "0", "CALLBACK_TIMEOUT_SECONDS": "5"}
        running.functions["CancelJobFunction"].environment["AWS_ENDPOINT_URL_SQS"] = "http://127.0.0.1:1"
        running.functions["CleanUpTasksFunction"].environment["CALLBACK_STALE_SECONDS"] = "0.01"
        policy = {"maxReceiveCount": ATTEMPTS, "deadLetterTargetArn": queue_arn(running, "CallbackDeadLetterQueue")}
        running.client("sqs").set_queue_attributes(
            QueueUrl=queue_url(running, "CallbackQueue"), Attributes={"RedrivePolicy": json.dumps(policy)}
        )
        yield running


def queue_url(stack: Stack, name: str) -> str:
    queue = stack.functions["RunTaskFunction"].environment["CALLBACK_QUEUE_URL"]
    return queue.replace("CallbackQueue", name)


def queue_arn(stack: Stack, name: str) -> str:
    found = stack.client("sqs").get_queue_attributes(QueueUrl=queue_url(stack, name), AttributeNames=["QueueArn"])
    arn: str = found["Attributes"]["QueueArn"]
    return arn


@dataclass
class Receiver:
    """What a user's server gets; it answers with the statuses that the path lists, the last of them ever after."""

    url: str = ""
    calls: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    silence: threading.Event = field(default_factory=threading.Event)

    def of(self, path: str) -> list[tuple[dict[str, str], bytes]]:
        return [(headers, sent) for called, headers, sent in self.calls if called == path]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["content-length"]))
            receiver.calls.append((self.path, {name.lower(): value for name, value in self.headers.items()}, sent))
            statuses = self.path.removeprefix("/").split(",")
            status = statuses[min(len(receiver.of(self.path)), len(statuses)) - 1]
            if status == "silent":
                receiver.silence.wait(30)
                return
            self.send_response(int(status))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    yield receiver
    receiver.silence.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def verify() -> Callable[[str, str, bytes], bool]:
    """What the API guide tells receivers to do."""
    found = re.search(r"^```python\n(import hashlib.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert found
    names: dict[str, Any] = {}
    exec(found[1], names)
    check: Callable[[str, str, bytes], bool] = names["is_from_studio"]
    return check


def start(user: Any, url: str, **more: Any) -> str:
    answer = user.http.post(ADJUST, json=body(callback_url=url, **more), timeout=40)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["job_id"]
    return job_id


def told(user: Any, job_id: str, *statuses: str) -> dict[str, Any]:
    """Wait until a job's callback has come to one of some statuses, and return the job."""

    def look() -> dict[str, Any] | None:
        job: dict[str, Any] = user.http.get(f"/compute-tasks/{job_id}/status").raise_for_status().json()
        return job if job["callback"]["status"] in statuses else None

    job: dict[str, Any] = until(look)
    return job


def test_a_job_that_is_complete_is_told_and_signed(
    user: Any, receiver: Receiver, verify: Callable[[str, str, bytes], bool]
) -> None:
    job_id = start(user, f"{receiver.url}/204")
    job = told(user, job_id, "DELIVERED")
    callback = job.pop("callback")
    assert (callback["url"], callback["tries"], callback["error"]) == (f"{receiver.url}/204", 1, None)
    [(headers, sent)] = receiver.of("/204")
    assert json.loads(sent) == job, "the status, but for the callback itself"
    assert (job["status"], job["result_url"]) == ("COMPLETED", f"/compute-tasks/{job_id}/result")
    assert headers["content-type"] == "application/json"
    assert headers["studio-delivery"] == f"{job_id}:1"
    secret = user.http.get("/compute-tasks/callback-secret").raise_for_status().json()["secret"]
    assert verify(secret, headers["studio-signature"], sent)
    assert not verify(secret, headers["studio-signature"], sent + b" ")
    assert not verify("whsec_other", headers["studio-signature"], sent)
    late = re.sub(r"t=\d+", f"t={int(time.time()) - 301}", headers["studio-signature"])
    assert not verify(secret, late, sent)


def test_a_job_that_is_waited_for_is_told_too(user: Any, receiver: Receiver) -> None:
    request = body(callback_url=f"{receiver.url}/200", wait_for_result=True)
    assert user.http.post(ADJUST, json=request, timeout=40).status_code == 200
    until(lambda: receiver.of("/200"))


def test_a_job_that_failed_is_told(user: Any, receiver: Receiver) -> None:
    job_id = start(user, f"{receiver.url}/200", image=base64.b64encode(b"no picture at all").decode())
    told(user, job_id, "DELIVERED")
    [(_, sent)] = receiver.of("/200")
    job = json.loads(sent)
    assert (job["job_id"], job["status"], job["error"]["code"]) == (job_id, "FAILED", "UNSUPPORTED_FORMAT")


def test_a_cancelled_job_is_told_by_the_clean_up_where_the_queue_was_down(
    stack: Stack, user: Any, receiver: Receiver
) -> None:
    job_id = user.http.post(ADJUST, json=slow(callback_url=f"{receiver.url}/200")).json()["job_id"]
    cancelled = user.http.post(f"/compute-tasks/{job_id}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "CANCELLED")
    assert told(user, job_id, "PENDING")["status"] == "CANCELLED"
    assert receiver.calls == []
    stack.fire("CleanUpTasksFunction")
    told(user, job_id, "DELIVERED")
    [(_, sent)] = receiver.of("/200")
    assert json.loads(sent)["status"] == "CANCELLED"


def test_a_bulk_job_is_told(stack: Stack, user: Any, receiver: Receiver) -> None:
    key = upload_key(user.user_id, "upl_" + "0" * 24)
    stack.client("s3").put_object(Bucket=stack.bucket_name, Key=key, Body=base64.b64decode(body()["image"]))
    request = {"image_keys": [key], "task_type": "adjust", "parameters": {"adjustments": {"exposure": -1}}}
    accepted = user.http.post("/tone-mapping/bulk", json={**request, "callback_url": f"{receiver.url}/200"})
    assert accepted.status_code == 202, accepted.text
    told(user, accepted.json()["job_id"], "DELIVERED")
    [(_, sent)] = receiver.of("/200")
    assert (json.loads(sent)["task_type"], json.loads(sent)["status"]) == ("bulk_grade", "COMPLETED")


def test_a_receiver_that_is_down_is_tried_again(
    user: Any, receiver: Receiver, verify: Callable[[str, str, bytes], bool]
) -> None:
    job_id = start(user, f"{receiver.url}/500,503,200")
    assert told(user, job_id, "DELIVERED")["callback"]["tries"] == 3
    calls = receiver.of("/500,503,200")
    assert len({sent for _, sent in calls}) == 1
    assert [headers["studio-delivery"] for headers, _ in calls] == [f"{job_id}:1"] * 3
    secret = user.http.get("/compute-tasks/callback-secret").json()["secret"]
    assert all(verify(secret, headers["studio-signature"], sent) for headers, sent in calls)


def test_a_receiver_that_is_gone_is_left_alone(stack: Stack, user: Any, receiver: Receiver) -> None:
    job_id = start(user, f"{receiver.url}/410")
    callback = told(user, job_id, "REFUSED")["callback"]
    assert (callback["tries"], callback["error"], callback["delivered_at"]) == (1, "the receiver answered 410", None)
    assert dead_letters(stack, job_id) == 0


def test_what_nobody_takes_ends_in_the_dead_letter_queue(stack: Stack, user: Any, receiver: Receiver) -> None:
    job_id = start(user, f"{receiver.url}/silent")
    job = told(user, job_id, "FAILED")
    assert job["status"] == "COMPLETED"
    assert (job["callback"]["tries"], len(receiver.of("/silent"))) == (ATTEMPTS, ATTEMPTS)
    assert "longer than 5 s" in job["callback"]["error"]
    until(lambda: dead_letters(stack, job_id) == 1)


def dead_letters(stack: Stack, job_id: str) -> int:
    sqs, url = stack.client("sqs"), queue_url(stack, "CallbackDeadLetterQueue")
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
    return sum(json.loads(message["Body"]) == {"job_id": job_id, "attempt": 1} for message in found)


@pytest.mark.parametrize(
    "change",
    [
        {"callback_url": "ftp://127.0.0.1/"},
        {"callback_url": "http://user@127.0.0.1/"},
        {"callback_url": "http://127.0.0.1/" + "x" * 2048},
        {"callback_url": "nothing"},
        {"callback_url": "http://127.0.0.1/", "use_container": False},
    ],
)
def test_what_cannot_be_called_starts_no_job(user: Any, change: dict[str, Any]) -> None:
    answer = user.http.post(ADJUST, json=body(**change))
    assert answer.status_code == 422, answer.text
    assert "callback_url" in answer.text
    assert user.http.get("/compute-tasks").json()["items"] == []
    assert user.http.get("/uploads").json()["items"] == [], "and its image is not kept"


def test_every_user_has_a_secret_that_whatever_starts_jobs_may_see(user: Any, anonymous: Any) -> None:
    secret = user.http.get("/compute-tasks/callback-secret").json()["secret"]
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    assert user.http.get("/compute-tasks/callback-secret").json()["secret"] == secret
    for scope in ("grade", "export"):
        made = user.http.post("/auth/api-keys", json={"name": scope, "scopes": [scope]}).raise_for_status().json()
        answer = user.http.get("/compute-tasks/callback-secret", headers={"X-API-KEY": made["api_key"]})
        assert answer.raise_for_status().json()["secret"] == secret
    login = {"email": "other-" + user.email, "password": "correct horse battery"}
    anonymous.post("/auth/register", json=login).raise_for_status()
    key = anonymous.post("/auth/login", json=login).json()["api_key"]
    other = anonymous.get("/compute-tasks/callback-secret", headers={"X-API-KEY": key}).json()["secret"]
    assert other != secret


def test_what_a_container_ends_is_told_and_told_again_after_a_redrive(
    stack: Stack, user: Any, receiver: Receiver
) -> None:
    key, path = upload_key(user.user_id, f"upl_{'0' * 24}"), "/204,204"
    request = {"image_key": key, "adjustments": {"exposure": 1}, "use_container": True, "target": "BATCH"}
    job_id: str = user.http.post(ADJUST, json=request | {"callback_url": receiver.url + path}).json()["job_id"]
    assert told(user, job_id, "DELIVERED")["status"] == "FAILED"

    stack.client("s3").put_object(Bucket=stack.bucket_name, Key=key, Body=base64.b64decode(body()["image"]))
    steps = stack.client("stepfunctions")
    machine = stack.functions["AdjustFunction"].environment["RUN_TASK_STATE_MACHINE"]
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{job_id}"
    until(lambda: steps.describe_execution(executionArn=arn)["status"] == "FAILED")
    steps.redrive_execution(executionArn=arn)
    until(lambda: len(receiver.of(path)) == 2)
    statuses = [(json.loads(sent)["status"], headers["studio-delivery"]) for headers, sent in receiver.of(path)]
    assert statuses == [("FAILED", f"{job_id}:1"), ("COMPLETED", f"{job_id}:2")]
    assert told(user, job_id, "DELIVERED")["callback"]["tries"] == 1
