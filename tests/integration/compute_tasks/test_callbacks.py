"""Callbacks of jobs up to the queue and from it on; tests/api/test_callbacks.py has the whole way."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from local.stack import Stack
from studio import storage
from studio.caller import Caller
from studio.compute_tasks import callbacks, delivery, recovery, repository, service, worker
from studio.compute_tasks.models import FINAL, Callback, Job, TaskOptions
from studio.compute_tasks.registry import TASKS, Reporter, Task
from studio.errors import ForbiddenError, InvalidFieldError, NotFoundError, UnavailableError
from studio.mongo import get_collection
from studio.tone_mapping.bulk import service as bulk

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

CALLER = Caller(user_id="usr_1", key_id="key_1", scopes=frozenset({"grade"}))
URL = "http://127.0.0.1:9/told"


class Order(BaseModel):
    """Request of the test's own task."""

    what: str


def serve(caller: Caller, request: Order, report: Reporter) -> Order:
    match request.what:
        case "refuse":
            raise NotFoundError("there is none")
        case "crash":
            raise ZeroDivisionError
        case "last":
            time.sleep(5)
    return request


@pytest.fixture(scope="module")
def sqs(stack: Stack) -> "SQSClient":
    client: SQSClient = stack.client("sqs")
    return client


@pytest.fixture
def queue(sqs: "SQSClient", stack: Stack, configure: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A queue that nobody else reads, and this process with all that a function has."""
    url = sqs.create_queue(QueueName=f"test-{time.time_ns()}")["QueueUrl"]
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setitem(
        TASKS, "serve", Task(request=f"{__name__}:Order", function=f"{__name__}:serve", timeout_seconds=1, attempts=2)
    )
    configure(
        AWS_ENDPOINT_URL=stack.aws_endpoint_url,
        BUCKET_NAME=stack.bucket_name,
        CALLBACK_QUEUE_URL=url,
        CALLBACK_SECRET="a deployment's",
        CALLBACK_PRIVATE_ALLOWED="true",
        CALLBACK_RETRY_SECONDS="0",
        STALE_QUEUED_SECONDS="0.01",
        NEVER_STARTED_SECONDS="0.02",
    )
    callbacks.get_queue.cache_clear()
    yield url
    callbacks.get_queue.cache_clear()
    sqs.delete_queue(QueueUrl=url)


def submit(what: str, **options: Any) -> Job:
    given = TaskOptions(**{"use_container": True, "callback_url": URL, **options})
    return service.submit(CALLER, "serve", Order(what=what), given)


def stored(job: Job) -> Job:
    found = repository.find_job(job.id)
    assert found
    return found


def receive(sqs: "SQSClient", queue: str) -> list[Any]:
    """Take all messages of the queue."""
    found = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(json.loads(message["Body"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found


def run_both_attempts(job: Job) -> None:
    worker.run_job(job.id, 1)
    worker.run_job(job.id, 2)


def crash_twice(job: Job) -> None:
    recovery.reconcile(job.id, 1)
    recovery.reconcile(job.id, 2)


def clean_up_late(job: Job) -> None:
    time.sleep(0.03)
    recovery.clean_up()


def complete_bulk(job: Job) -> None:
    manifest = "users/usr_1/jobs/manifest.json"
    storage.write(manifest, b"[]", "application/json", tags={}, for_map=True)
    order = {"task_type": "adjust", "parameters": {}, "concurrency": 1, "total": 1, "manifest_key": manifest}
    other = job.model_copy(update={"payload": order})
    get_collection("computeTasks").replace_one({"_id": job.id}, other.to_mongo())
    repository.start_job(job.id, 1, datetime.now(UTC))
    bulk.complete(job.id)


@pytest.mark.parametrize(
    ("what", "end", "status"),
    [
        ("soup", lambda job: worker.run_job(job.id, 1), "COMPLETED"),
        ("refuse", lambda job: worker.run_job(job.id, 1), "FAILED"),
        ("last", lambda job: worker.run_job(job.id, 1), "FAILED"),
        ("crash", run_both_attempts, "FAILED"),
        ("soup", crash_twice, "FAILED"),
        ("soup", clean_up_late, "FAILED"),
        ("soup", lambda job: service.cancel(CALLER, job.id), "CANCELLED"),
        ("soup", lambda job: recovery.reconcile_execution(job.id, {"status": "ABORTED"}), "CANCELLED"),
        ("soup", lambda job: recovery.reconcile_execution(job.id, {"status": "FAILED"}), "FAILED"),
        ("soup", complete_bulk, "COMPLETED"),
    ],
)
def test_every_way_to_an_end_is_told_once(
    sqs: "SQSClient", queue: str, what: str, end: Callable[[Job], object], status: str
) -> None:
    job = submit(what)
    assert receive(sqs, queue) == [], "nothing is told before its end"
    assert stored(job).callback == Callback(url=URL, status="PENDING")
    end(job)
    ended = stored(job)
    assert (ended.status, ended.callback) == (status, Callback(url=URL, status="QUEUED"))
    assert receive(sqs, queue) == [{"job_id": job.id, "attempt": ended.attempt}]
    recovery.reconcile_execution(job.id, {"status": "ABORTED"})
    worker.run_job(job.id, ended.attempt)
    assert receive(sqs, queue) == [], "what comes late changes nothing"


def test_a_job_without_a_callback_tells_nobody(sqs: "SQSClient", queue: str) -> None:
    job = submit("soup", callback_url=None)
    assert worker.run_job(job.id, 1) == "COMPLETED"
    assert receive(sqs, queue) == []
    assert service.describe(CALLER, job.id).callback is None


def test_a_queue_that_is_down_fails_no_job_and_loses_nothing(
    sqs: "SQSClient", queue: str, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit("soup")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    assert worker.run_job(job.id, 1) == "COMPLETED"
    assert stored(job).callback == Callback(url=URL, status="PENDING")
    assert callbacks.announce_untold() == 0, "it has only just ended"
    configure(CALLBACK_STALE_SECONDS="0.01")
    time.sleep(0.02)
    assert callbacks.announce_untold() == 0, "the queue is still down"
    running = submit("soup")
    monkeypatch.delenv("AWS_ENDPOINT_URL_SQS")
    callbacks.get_queue.cache_clear()
    assert callbacks.announce_untold() == 1
    assert receive(sqs, queue) == [{"job_id": job.id, "attempt": 1}]
    assert callbacks.announce_untold() == 0
    assert stored(running).status not in FINAL


@pytest.mark.usefixtures("queue")
def test_without_a_secret_a_callback_is_refused(configure: Any) -> None:
    configure(CALLBACK_SECRET="", CALLBACK_SECRET_ARN="")
    callbacks.check(None)
    with pytest.raises(UnavailableError, match="CALLBACK_SECRET_ARN"):
        callbacks.check("https://8.8.8.8/")
    with pytest.raises(UnavailableError, match="CALLBACK_SECRET_ARN"):
        callbacks.show_secret(CALLER)


@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize("scopes", [{"admin"}, set()])
def test_what_may_start_no_job_sees_no_secret(configure: Any, scopes: set[str]) -> None:
    configure(CALLBACK_SECRET="planted")
    with pytest.raises(ForbiddenError, match=r"the scope grade or export; this key has (admin|none)"):
        callbacks.show_secret(CALLER.model_copy(update={"scopes": frozenset(scopes)}))


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[str]]]:
    """A receiver on this machine: its address, and the paths that it was asked for."""
    seen: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)
            self.send_response(302 if self.path == "/moved" else 200)
            self.send_header("location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def cancelled(url: str) -> Job:
    job = submit("soup", callback_url=url)
    service.cancel(CALLER, job.id)
    return stored(job)


def deliver(job: Job, tries: int = 1) -> None:
    delivery.deliver({"job_id": job.id, "attempt": job.attempt}, tries, "a handle that the queue does not know")


@pytest.mark.usefixtures("queue")
def test_what_is_delivered_is_not_delivered_again(receiver: tuple[str, list[str]]) -> None:
    address, seen = receiver
    job = cancelled(f"http://{address}/ok")
    delivery.deliver({"job_id": job.id, "attempt": 2}, 1, "")
    delivery.deliver({"job_id": "job_unknown", "attempt": 1}, 1, "")
    assert seen == [], "there is no such end to tell"
    deliver(job)
    deliver(job)
    assert seen == ["/ok"]
    told = stored(job).callback
    assert told
    assert (told.status, told.tries, told.error) == ("DELIVERED", 1, None)
    assert told.delivered_at


@pytest.mark.usefixtures("queue")
def test_a_redirect_is_not_followed(receiver: tuple[str, list[str]]) -> None:
    address, seen = receiver
    job = cancelled(f"http://{address}/moved")
    with pytest.raises(delivery.UndeliveredError, match="answered 302"):
        deliver(job)
    assert seen == ["/moved"]
    told = stored(job).callback
    assert told
    assert (told.status, told.tries, told.error) == ("QUEUED", 1, "the receiver answered 302")


@pytest.mark.usefixtures("queue")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_guard_holds_when_a_job_is_submitted_and_when_it_is_told(
    configure: Any, receiver: tuple[str, list[str]], scheme: str
) -> None:
    address, seen = receiver
    job = cancelled(f"{scheme}://{address}/")
    configure(CALLBACK_PRIVATE_ALLOWED="false")
    why = "https URL" if scheme == "http" else "not a public address"
    with pytest.raises(InvalidFieldError, match=why) as refusal:
        callbacks.check(f"{scheme}://{address}/")
    assert refusal.value.details[0].field == "callback_url"
    with pytest.raises(delivery.UndeliveredError, match=why):
        deliver(job)
    with pytest.raises(delivery.UndeliveredError):
        deliver(job, tries=8)
    told = stored(job).callback
    assert told
    assert (told.status, told.tries) == ("FAILED", 2)
    assert seen == []


@pytest.mark.usefixtures("queue")
def test_delivered_stays_delivered() -> None:
    job = cancelled(URL)
    for status in ("DELIVERED", "QUEUED"):  # of two tries at once, the one that failed may be the last to say so
        repository.record_callback(job.id, 1, Callback(url=URL, status=status))
    repository.queue_callback(job.id, 1)  # the delivery may be faster than whoever handed it to the queue
    told = stored(job).callback
    assert told
    assert told.status == "DELIVERED"
