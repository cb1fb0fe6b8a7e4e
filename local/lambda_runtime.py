"""Lambda on this machine: the real `awslambdaric` in worker processes, behind a small Runtime API.

One worker is one execution environment: it serves one request at a time, is used again while it is warm, and is
killed when it takes longer than its function may.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from local.layers import import_path
from local.processes import spawn
from local.template import ACCOUNT_ID, REGION, FunctionResource

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
MAX_REQUEST_BYTES = 6_291_456
MAX_RESPONSE_BYTES = 6_291_556
INIT_SECONDS = 10
DEFAULT_CONCURRENCY = 4
QUEUE_SECONDS = 30


@dataclass(frozen=True)
class Outcome:
    """What an invocation came to: the function's answer, or its error as Lambda words it."""

    payload: bytes
    is_error: bool = False


class TooManyRequestsError(Exception):
    """No worker became free in time."""


class WorkerGoneError(Exception):
    """The worker died while idle, so that the request never reached it."""


@dataclass
class Invocation:
    """A request on its way through a worker."""

    payload: bytes
    id: str
    answer: Future[Outcome] = field(default_factory=Future)
    handed_over: bool = False


class Worker:
    """A process that runs one function, and the Runtime API that it asks for work.

    Parameters
    ----------
    function
        What it runs.
    environment
        The whole environment of the process.
    log
        The file that its output is appended to.
    echo
        Whether its output goes to the console as well.
    """

    def __init__(self, function: FunctionResource, environment: dict[str, str], log: Path, *, echo: bool) -> None:
        self.function = function
        self._log, self._echo = log, echo
        self._queue: SimpleQueue[Invocation | None] = SimpleQueue()
        self._current: Invocation | None = None
        self._init_error: bytes | None = None
        self._initialized = threading.Event()
        self._death: Future[Any] = Future()
        self._server = _RuntimeServer(("127.0.0.1", 0), partial(_RuntimeApi, self))
        api = f"127.0.0.1:{self._server.server_port}"
        # -S: no site-packages of the development environment; -P: nothing from the working directory.
        self.process = spawn(
            [sys.executable, "-S", "-P", "-m", "awslambdaric", function.handler],
            output=subprocess.PIPE,
            environment={**environment, "AWS_LAMBDA_RUNTIME_API": api},
            folder=function.folder,
        )
        for task in (self._server.serve_forever, self._keep_output, self._await_death):
            threading.Thread(target=task, name=f"{function.name}-{self.process.pid}", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return not self._death.done() and self.process.poll() is None

    def run(self, payload: bytes, request_id: str) -> Outcome:
        """Hand a request to the process and wait for its answer.

        Raises
        ------
        WorkerGoneError
            If the process had died before it took the request.
        """
        was_warm = self._initialized.is_set()
        self._current = invocation = Invocation(payload, request_id)
        self._queue.put(invocation)
        # Starting has its own allowance in Lambda, and does not count as the function's time.
        self._initialized.wait(INIT_SECONDS)
        timeout = self.function.timeout
        wait((invocation.answer, self._death), timeout, FIRST_COMPLETED)
        if invocation.answer.done():
            return invocation.answer.result()
        if not self._death.done():
            self.kill()
            return _error(
                "Sandbox.Timedout", f"RequestId: {request_id} Error: Task timed out after {timeout:.2f} seconds"
            )
        if was_warm and not invocation.handed_over:
            raise WorkerGoneError
        if self._init_error is not None:
            return Outcome(self._init_error, is_error=True)
        status = self.process.returncode
        reason = f"signal: {signal.strsignal(-status)}" if status < 0 else f"exit status {status}"
        return _error("Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited with error: {reason}")

    def kill(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()

    def take(self) -> Invocation | None:
        """Wait for the next request; None when there will be none."""
        self._initialized.set()
        invocation = self._queue.get()
        if not (invocation and self.alive):
            return None
        invocation.handed_over = True
        return invocation

    def finish(self, request_id: str, outcome: Outcome) -> None:
        """Accept the process's answer to a request."""
        if not (self._current and self._current.id == request_id) or self._current.answer.done():
            return
        if len(outcome.payload) > MAX_RESPONSE_BYTES:
            limit = f"Response payload size exceeded maximum allowed payload size ({MAX_RESPONSE_BYTES} bytes)."
            outcome = _error("Function.ResponseSizeTooLarge", limit)
        self._current.answer.set_result(outcome)

    def fail_to_start(self, error: bytes) -> None:
        """Accept the process's word that it cannot load its handler; it ends by itself then."""
        self._init_error = error

    def _keep_output(self) -> None:
        assert self.process.stdout  # noqa: S101
        with self.process.stdout, self._log.open("ab", buffering=0) as log:
            for raw in self.process.stdout:
                line = raw.replace(b"\r", b"\n")  # awslambdaric keeps a traceback in one record so
                log.write(line)
                if self._echo:
                    sys.stdout.write(f"{self.function.name} | {line.decode(errors='replace')}")
                    sys.stdout.flush()

    def _await_death(self) -> None:
        self.process.wait()
        self._death.set_result(None)
        self._initialized.set()
        self._queue.put(None)
        self._server.shutdown()
        self._server.server_close()


def _error(kind: str, message: str) -> Outcome:
    """Return an error of Lambda's own."""
    return Outcome(json.dumps({"errorType": kind, "errorMessage": message}).encode(), is_error=True)


class _RuntimeServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the worker died while it was connected, and its watcher answers for it."""


class _RuntimeApi(BaseHTTPRequestHandler):
    """Lambda's Runtime API, version 2018-06-01, as one worker sees it."""

    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: else each answer waits for a delayed acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def __init__(self, worker: Worker, *arguments: object) -> None:
        self._worker = worker
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        invocation = self._worker.take()
        if invocation is None:
            self.close_connection = True
            return
        function = self._worker.function
        self._answer(
            200,
            invocation.payload,
            {
                "Lambda-Runtime-Aws-Request-Id": invocation.id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + function.timeout) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": function_arn(function.name),
                "Lambda-Runtime-Trace-Id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0",
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        match self.path.split("/")[3:]:
            case ["init", "error"]:
                self._worker.fail_to_start(body)
            case ["invocation", request_id, "response"]:
                self._worker.finish(request_id, Outcome(body))
            case ["invocation", request_id, "error"]:
                self._worker.finish(request_id, Outcome(body, is_error=True))
        self._answer(202, b'{"status": "OK"}', {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class WorkerPool:
    """The workers of one function.

    Parameters
    ----------
    function
        What they run.
    environment
        What the stack adds to the environment of every function.
    log
        The file that their output is appended to.
    echo
        Whether their output goes to the console as well.
    """

    def __init__(self, function: FunctionResource, environment: dict[str, str], log: Path, *, echo: bool) -> None:
        self.function = function
        self.environment = _environment(function, environment)
        self._log, self._echo = log, echo
        self._sources = [function.folder, *(layer / "python" for layer in function.layers)]
        self._looked_at_sources = 0.0
        self._version = 0
        self._room = threading.Semaphore(DEFAULT_CONCURRENCY if function.concurrency is None else function.concurrency)
        # A limit of the template's own throttles at once, as in Lambda; the machine's, which Lambda has not, queues.
        self._patience = QUEUE_SECONDS if function.concurrency is None else 0
        self._lock = threading.Lock()
        self._idle: list[tuple[Worker, int]] = []
        self._workers: list[Worker] = []
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that run now."""
        return [worker.process.pid for worker in self._workers if worker.alive]

    def invoke(self, payload: bytes, patience: float | None = None, request_id: str | None = None) -> Outcome:
        """Run the function once.

        Parameters
        ----------
        payload
            The event, JSON.
        patience
            How many seconds to wait for a worker to become free; the pool's own choice where it is None.
        request_id
            What the request is known by; a new one where it is None.

        Raises
        ------
        TooManyRequestsError
            If as many requests as may are running already.
        """
        if not self._room.acquire(timeout=self._patience if patience is None else patience):
            raise TooManyRequestsError
        try:
            while True:
                worker, version = self._take()
                try:
                    return worker.run(payload, request_id or str(uuid.uuid4()))
                except WorkerGoneError:
                    continue
                finally:
                    self._put_back(worker, version)
        finally:
            self._room.release()

    def close(self) -> None:
        """End all workers; requests that they were serving fail, and so do those that wait."""
        with self._lock:
            self._closed = True
        for worker in list(self._workers):
            worker.kill()

    def _take(self) -> tuple[Worker, int]:
        """Return an idle worker, or a new one, and the version of the code that it runs."""
        with self._lock:
            if self._closed:
                raise TooManyRequestsError
            version = self._source_version()
            while self._idle:
                worker, made_from = self._idle.pop()
                if worker.alive and made_from == version:
                    return worker, version
                worker.kill()
                self._workers.remove(worker)
            worker = Worker(self.function, self.environment, self._log, echo=self._echo)
            self._workers.append(worker)
            return worker, version

    def _put_back(self, worker: Worker, version: int) -> None:
        with self._lock:
            if worker.alive:
                self._idle.append((worker, version))
            else:
                self._workers.remove(worker)

    def _source_version(self) -> int:
        """Return what stands for the code as it is now; looked up at most every 0.2 s."""
        if time.monotonic() - self._looked_at_sources > 0.2:
            self._version = hash(frozenset(_modification_times(self._sources)))
            self._looked_at_sources = time.monotonic()
        return self._version


def function_arn(name: str) -> str:
    """Return a function's ARN."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{name}"


def _modification_times(folders: Iterable[Path]) -> Iterator[tuple[str, float]]:
    for root in folders:
        for folder, _, files in os.walk(root):
            if not folder.endswith("__pycache__"):
                for file in files:
                    with suppress(FileNotFoundError):  # an editor's passing file
                        path = os.path.join(folder, file)
                        yield path, os.stat(path).st_mtime


def _environment(function: FunctionResource, extra: dict[str, str]) -> dict[str, str]:
    """Return all that a worker's environment holds, as Lambda sets it."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "PYTHONPATH": ":".join(map(str, import_path(function))),
        "_HANDLER": function.handler,
        "LAMBDA_TASK_ROOT": str(function.folder),
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_LAMBDA_LOG_FORMAT": "JSON" if function.json_logs else "Text",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        **CREDENTIALS,
        # There is no X-Ray daemon here.
        "POWERTOOLS_TRACE_DISABLED": "true",
        "AWS_XRAY_SDK_ENABLED": "false",
        **extra,
        **function.environment,
    }
