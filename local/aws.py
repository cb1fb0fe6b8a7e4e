"""AWS on this machine: moto in this process, behind a front that adds what it lacks."""

import json
import os
import re
import uuid
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import boto3
from botocore.config import Config
from botocore.credentials import Credentials
from werkzeug.wrappers import Request, Response

from local import s3_signatures
from local.batch import PATHS as BATCH_PATHS
from local.batch import Batch
from local.events import EventInvoker
from local.lambda_runtime import CREDENTIALS, MAX_REQUEST_BYTES, TooManyRequestsError, WorkerPool
from local.processes import free_port
from local.servers import LoopbackServer, refusal
from local.template import REGION

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MAX_EVENT_BYTES = 1_048_576
INVOKE_PATH = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")


def connect(service: str, endpoint_url: str, config: Config | None = None) -> Any:
    """Return a boto3 client of what answers there."""
    key, secret = CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
    session: Any = boto3.Session(aws_access_key_id=key, aws_secret_access_key=secret, region_name=REGION)
    return session.client(service, endpoint_url=endpoint_url, config=config)


def make_secret(endpoint_url: str, value: str) -> str:
    """Return the ARN of a new secret; moto's memory is the whole process's, and so its name is one of its own."""
    secrets = connect("secretsmanager", endpoint_url)
    arn: str = secrets.create_secret(Name=f"studio-local-{uuid.uuid4()}", SecretString=value)["ARN"]
    return arn


class AwsServer(LoopbackServer):
    """The AWS services that the stack uses, on one loopback port, as a context manager.

    Parameters
    ----------
    functions
        What Lambda's Invoke runs, by name; it may be filled later.
    events
        What runs it when nobody waits for the answer.

    Attributes
    ----------
    endpoint_url
        What `AWS_ENDPOINT_URL` must be for an SDK to come here.
    buckets
        Names of the buckets whose presigned requests are checked.
    batch
        What answers Batch's requests, once there is such.
    """

    def __init__(self, functions: Mapping[str, WorkerPool], events: EventInvoker) -> None:
        self._functions, self._events = functions, events
        self.buckets: set[str] = set()
        self.batch: Batch | None = None
        self._credentials = Credentials(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
        port = free_port()
        # Both are read on import: where moto calls itself, and that only a bucket's own CORS rules count.
        os.environ |= {"MOTO_PORT": str(port), "MOTO_DISABLE_GLOBAL_CORS": "true"}
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

        self._moto = DomainDispatcherApplication(create_backend_app)
        # It would look through the folders of all services at every request, which takes a third of a small one.
        self._moto.get_backend_for_host = cache(self._moto.get_backend_for_host)  # type: ignore[method-assign]
        super().__init__(self._answer, port, MotoRequestHandler)

    def _answer(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = Request(environ)
        if match := INVOKE_PATH.fullmatch(unquote(request.path)):
            return self._lambda(request, match[1])(environ, start_response)
        if self.batch and request.path in BATCH_PATHS:
            return self.batch.answer(request)(environ, start_response)
        if request.path.split("/")[1] in self.buckets:
            try:
                s3_signatures.check(request, self._credentials)
            except s3_signatures.Refusal as refusal:
                response = Response(refusal.body, refusal.status, content_type="application/xml")
                response.headers["Access-Control-Allow-Origin"] = "*"  # so that a browser's script can read why
                return response(environ, start_response)
        answer: Iterable[bytes] = self._moto(environ, start_response)
        return answer

    def _lambda(self, request: Request, name: str) -> Response:
        """Answer Lambda's Invoke."""
        # A name, a name with a qualifier, or an ARN.
        name = name.split(":")[6] if name.startswith("arn:") else name.split(":")[0]
        if name not in self._functions:
            return refusal(404, "ResourceNotFoundException", f"Function not found: {name}")
        is_event = request.headers.get("X-Amz-Invocation-Type") == "Event"
        payload = request.get_data() or b"{}"
        limit = MAX_EVENT_BYTES if is_event else MAX_REQUEST_BYTES
        if len(payload) > limit:
            message = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
            return refusal(413, "RequestTooLargeException", message)
        try:
            json.loads(payload)
        except ValueError as error:
            message = f"Could not parse request body into json: {error}"
            return refusal(400, "InvalidRequestContentException", message)
        if is_event:
            return Response(status=202, headers={"x-amzn-RequestId": self._events.submit(name, payload)})
        try:
            outcome = self._functions[name].invoke(payload)
        except TooManyRequestsError:
            return refusal(429, "TooManyRequestsException", "Rate Exceeded.")
        headers = {"X-Amz-Executed-Version": "$LATEST"}
        if outcome.is_error:
            headers["X-Amz-Function-Error"] = "Unhandled"
        return Response(outcome.payload, 200, headers, content_type="application/json")
