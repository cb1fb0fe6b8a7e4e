"""The embedded stack: everything of a template on one machine, started and stopped together."""

import logging
import os
import secrets
import shutil
import socket
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pymongo
import uvicorn

from local import s3_data
from local.aws import AwsServer, connect, make_secret
from local.batch import Batch
from local.events import EventInvoker, fire, keep_schedules, poll_queues
from local.gateway import Gateway
from local.lambda_runtime import WorkerPool
from local.layers import ROOT
from local.mongod import Mongod
from local.openai_server import OpenAiServer
from local.template import Template
from studio.indexes import create_indexes

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DATABASE = "studio"
LOGS = ROOT / ".local" / "logs"


class Stack:
    """The embedded stack, as a context manager.

    Parameters
    ----------
    data
        Where MongoDB's files and S3's objects are kept; a temporary folder, gone with the stack, where it is None.
        S3's objects are written on a clean stop only, and a server that `MONGODB_URI` names keeps its own.
    port
        The API's port; 0 takes a free one.
    template
        The SAM template that says what there is.
    parameters
        Values for its parameters, beside what the stack itself gives.
    echo
        Whether the functions' output goes to the console, beside `.local/logs/`.
    scheduled
        Whether schedules keep their time; without, they fire by `fire` alone.

    Attributes
    ----------
    url
        Where the API answers.
    mongodb_uri
        Connection string of the database server.
    aws_endpoint_url
        Where AWS services answer, with the credentials `testing`/`testing`.
    bucket_name
        The template's bucket, or the first of them.
    functions
        The functions' worker pools, by name.
    """

    def __init__(
        self,
        data: Path | None = None,
        port: int = 0,
        template: Path = ROOT / "template.yaml",
        parameters: dict[str, str] | None = None,
        *,
        echo: bool = False,
        scheduled: bool = True,
    ) -> None:
        self._data, self._port = data, port
        self._template_path, self._parameters = template, parameters or {}
        self._echo, self._scheduled = echo, scheduled
        self._cleanup = ExitStack()
        self.functions: dict[str, WorkerPool] = {}
        self._batch: Batch | None = None
        self._stopped = threading.Event()
        self._events = EventInvoker(self.functions, self._stopped)
        self.url = self.mongodb_uri = self.aws_endpoint_url = self.bucket_name = ""

    @property
    def pids(self) -> dict[str, Any]:
        """Process ids: of the stack, of mongod, of each function's workers, and of Batch jobs' containers."""
        workers = {name: pool.pids for name, pool in self.functions.items() if pool.pids}
        containers = self._batch.pids if self._batch else {}
        return {"stack": os.getpid(), "mongod": self._mongod.pid, "workers": workers, "containers": containers}

    def client(self, service: str) -> Any:
        """Return a boto3 client of the stack's AWS."""
        return connect(service, self.aws_endpoint_url)

    def fire(self, function: str) -> None:
        """Invoke a function as its schedules do, without waiting for their time or for its answer.

        Raises
        ------
        LookupError
            If the function has no schedule.
        """
        schedules = [schedule for schedule in self._schedules if schedule.function == function]
        if not schedules:
            raise LookupError(f"no schedule of {function}")
        for schedule in schedules:
            fire(schedule, self._events.submit)

    def __enter__(self) -> Self:
        """Start everything; whatever had started is stopped again when something does not."""
        with self._cleanup:
            self._start()
            self._cleanup = self._cleanup.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything, in the reverse order."""
        self._cleanup.close()

    def _start(self) -> None:
        scratch = Path(tempfile.mkdtemp(prefix="studio-local-"))
        self._cleanup.callback(shutil.rmtree, scratch, ignore_errors=True)
        folder = (self._data or scratch).resolve()
        LOGS.mkdir(parents=True, exist_ok=True)

        self._mongod = Mongod(folder / "mongodb")
        self._cleanup.callback(self._mongod.stop, keep=self._data is not None)
        self._mongod.start()
        self.mongodb_uri = self._mongod.uri

        aws = self._cleanup.enter_context(AwsServer(self.functions, self._events))
        self.aws_endpoint_url = aws.endpoint_url

        given = {"Stage": "dev", "Registration": "open", "MongoDbDatabase": DATABASE}
        given["MongoDbSecretArn"] = make_secret(aws.endpoint_url, self.mongodb_uri)
        given["CallbackSecretArn"] = make_secret(aws.endpoint_url, secrets.token_hex(32))
        openai = self._cleanup.enter_context(OpenAiServer())
        given["OpenAiSecretArn"] = make_secret(aws.endpoint_url, "any")
        given["OpenAiBaseUrl"] = openai.url
        given |= {"BatchEnabled": "true", "RunTaskImageTag": "local", "MinimaticsExportImageTag": "local"}
        given["ExportSegmentSeconds"] = "30"  # a container starts in seconds here
        # moto's memory is the whole process's, and so is shared with other stacks.
        name = f"studio-local-{aws.endpoint_url.rpartition(':')[2]}"
        template = Template(self._template_path, given | self._parameters, name)
        for logical_id, properties in template.resources("AWS::S3::Bucket").items():
            bucket = template.resolve({"Ref": logical_id})
            self._make_bucket(bucket, properties, folder / "s3" / logical_id)
            aws.buckets.add(bucket)
            self.bucket_name = self.bucket_name or bucket

        self._make_queues(template.queues())

        temporary = scratch / "tmp"
        temporary.mkdir()
        environment = {"AWS_ENDPOINT_URL": self.aws_endpoint_url, "HOME": str(temporary), "TMPDIR": str(temporary)}
        environment["CALLBACK_PRIVATE_ALLOWED"] = "true"  # receivers are on this machine, too
        for function in template.functions():
            log = LOGS / f"{function.name}.log"
            pool = WorkerPool(function, environment, log, echo=self._echo)
            self.functions[function.name] = pool
            self._cleanup.callback(pool.close)
        self._cleanup.callback(self._stopped.set)

        if definitions := template.job_definitions():
            self._batch = aws.batch = Batch(definitions, environment, LOGS / "batch.log", echo=self._echo)
            self._cleanup.callback(self._batch.close)

        if machines := template.state_machines():
            from local.state_machines import StateMachines  # here, since it takes a second to load

            steps = StateMachines(self.client("stepfunctions"), template.rules(), self._events.submit)
            self._cleanup.callback(steps.close)
            steps.create(machines)

        self._mongod.wait()
        with pymongo.MongoClient[dict[str, Any]](self.mongodb_uri) as client:
            create_indexes(client[DATABASE])
        self._serve(Gateway(template.routes(), template.cors(), self.functions))

        poll_queues(template.queue_mappings(), self.functions, self.client("sqs"), self._stopped)
        self._schedules = template.schedules()
        if self._scheduled:
            keep_schedules(self._schedules, self._events.submit, self._stopped)

    def _make_bucket(self, bucket: str, properties: dict[str, Any], kept: Path) -> None:
        s3: S3Client = self.client("s3")
        s3.create_bucket(Bucket=bucket)
        self._cleanup.callback(_remove_bucket, s3, bucket)
        if rules := properties.get("CorsConfiguration", {}).get("CorsRules"):
            s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [_cors_rule(rule) for rule in rules]})
        if self._data:
            s3_data.restore(s3, bucket, kept)
            self._cleanup.callback(s3_data.save, s3, bucket, kept)

    def _make_queues(self, queues: dict[str, dict[str, str]]) -> None:
        sqs = self.client("sqs")
        urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in queues}
        for name, attributes in queues.items():  # afterwards, since one may name another
            sqs.set_queue_attributes(QueueUrl=urls[name], Attributes=attributes)
            self._cleanup.callback(sqs.delete_queue, QueueUrl=urls[name])

    def _serve(self, gateway: Gateway) -> None:
        listener = socket.create_server(("127.0.0.1", self._port))
        # asyncio does not see that this is TCP, and each answer would wait for a delayed acknowledgement.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(
            uvicorn.Config(
                gateway, log_level=logging.WARNING, access_log=False, lifespan="off", timeout_graceful_shutdown=5
            )
        )
        thread = threading.Thread(target=server.run, args=([listener],), name="gateway", daemon=True)
        thread.start()

        def stop() -> None:
            server.should_exit = True
            thread.join()
            listener.close()

        self._cleanup.callback(stop)


def _cors_rule(rule: dict[str, Any]) -> Any:
    """Return a rule as S3's API names it; the template's MaxAge is its MaxAgeSeconds."""
    return {"MaxAgeSeconds" if name == "MaxAge" else name: value for name, value in rule.items()}


def _remove_bucket(s3: "S3Client", bucket: str) -> None:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=entry["Key"])
    s3.delete_bucket(Bucket=bucket)
