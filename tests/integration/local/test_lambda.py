"""Functions run apart from each other and from us, and fail honestly."""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.lambda_runtime import MAX_REQUEST_BYTES, WorkerPool
from local.stack import Stack
from local.template import FunctionResource
from tests.waiting import until

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

FUNCTIONS = Path(__file__).parent / "fixture" / "functions"


@pytest.fixture
def aws_lambda(fixture_stack: Stack) -> "LambdaClient":
    client: LambdaClient = fixture_stack.client("lambda")
    return client


@pytest.fixture
def own_function(tmp_path: Path) -> Iterator[WorkerPool]:
    """Return a pool of a copy of the sleep function."""
    folder = shutil.copytree(FUNCTIONS / "sleep", tmp_path / "function")
    function = FunctionResource(
        name="OwnFunction",
        folder=folder,
        handler="app.lambda_handler",
        timeout=20,
        memory_mb=128,
        concurrency=None,
        json_logs=True,
        environment={},
        layers=(),
    )
    pool = WorkerPool(function, {}, tmp_path / "log", echo=False)
    yield pool
    pool.close()


def run(pool: WorkerPool, **event: object) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(pool.invoke(json.dumps(event).encode()).payload)
    return result


def test_a_function_sees_its_own_layers_and_the_runtime_only(fixture_stack: Stack) -> None:
    modules = [
        "app",
        "boto3",
        "awslambdaric",
        "extra_layer_module",
        "json",
        "numpy",
        "pydantic",
        "moto",
        "local",
        "studio",
    ]
    seen = run(fixture_stack.functions["ImportsFunction"], modules=modules)
    assert seen["found"] == ["app", "boto3", "awslambdaric", "extra_layer_module", "json"]


def test_a_function_of_the_project_gets_what_its_layers_bring(stack: Stack) -> None:
    def finds(function: str, module: str) -> bool:
        path = stack.functions[function].environment["PYTHONPATH"].split(":")
        return any(Path(folder, module).is_dir() for folder in path)

    assert finds("AutoCorrectFunction", "numpy")
    assert finds("RegisterUserFunction", "pydantic")
    assert finds("RegisterUserFunction", "studio")
    assert not finds("RegisterUserFunction", "numpy")
    assert not finds("CreateProjectFunction", "numpy")
    assert finds("ServePagesFunction", "mangum")
    assert not finds("RegisterUserFunction", "mangum")


def test_a_functions_environment_is_its_own(fixture_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_DEVELOPER", "x")
    pool = fixture_stack.functions["ImportsFunction"]
    environment = run(pool, modules=[])["environment"]
    assert "SECRET_OF_THE_DEVELOPER" not in environment
    assert environment["FROM_GLOBALS"] == "yes"
    assert environment["AWS_ENDPOINT_URL"] == fixture_stack.aws_endpoint_url
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "ImportsFunction"
    assert environment["LAMBDA_TASK_ROOT"].endswith("functions/imports")
    assert set(environment) - set(pool.environment) <= {"AWS_LAMBDA_RUNTIME_API", "LC_CTYPE", "_X_AMZN_TRACE_ID", "PWD"}


def test_a_warm_worker_is_used_again(own_function: WorkerPool) -> None:
    assert run(own_function)["pid"] == run(own_function)["pid"]


def test_requests_at_once_run_in_workers_of_their_own(own_function: WorkerPool) -> None:
    with ThreadPoolExecutor(8) as threads:
        pids = {answer["pid"] for answer in threads.map(lambda _: run(own_function, seconds=0.3), range(8))}
    # Four at a time; the others waited.
    assert len(pids) == len(own_function.pids) == 4


def test_a_changed_source_replaces_warm_workers(own_function: WorkerPool) -> None:
    before = run(own_function)
    assert "changed" not in before
    source = own_function.function.folder / "app.py"
    source.write_text(source.read_text().replace('return {"pid"', 'return {"changed": 1, "pid"'))
    after = until(lambda: (answer := run(own_function)).get("changed") and answer)
    assert after["pid"] != before["pid"]
    assert own_function.pids == [after["pid"]]


def test_a_worker_killed_in_a_request_is_an_error_at_once(own_function: WorkerPool, tmp_path: Path) -> None:
    mark = tmp_path / "started"
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(run, own_function, seconds=15, mark=str(mark))
        pid = int(until(lambda: mark.exists() and mark.read_text()))
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        error = answer.result()
    assert time.monotonic() - killed < 10, "it would have slept for 15 s"
    assert error["errorType"] == "Runtime.ExitError"
    assert "signal: Killed" in error["errorMessage"]
    assert run(own_function)["pid"] != pid


def test_a_worker_killed_while_idle_costs_nobody_a_request(own_function: WorkerPool) -> None:
    for _ in range(5):
        pid = run(own_function)["pid"]
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: pid not in own_function.pids)
        assert run(own_function)["pid"] != pid


def test_a_timeout_kills(fixture_stack: Stack) -> None:
    pool = fixture_stack.functions["SleepFunction"]
    assert run(pool)["pid"]
    started = time.monotonic()
    error = run(pool, seconds=30)
    assert 1 <= time.monotonic() - started < 20
    assert error["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in error["errorMessage"]
    assert pool.pids == []
    assert run(pool)["pid"]


def test_what_a_function_writes_is_kept(own_function: WorkerPool, tmp_path: Path) -> None:
    source = own_function.function.folder / "app.py"
    source.write_text("import os\ndef lambda_handler(event, context):\n    print('last words')\n    os._exit(3)\n")
    assert run(own_function)["errorMessage"].endswith("Runtime exited with error: exit status 3")
    until(lambda: "last words\n" in (tmp_path / "log").read_text())


def test_invoke_answers_what_the_function_does(aws_lambda: "LambdaClient") -> None:
    answer = aws_lambda.invoke(FunctionName="EchoFunction", Payload=b'{"a": 1}')
    assert answer["StatusCode"] == 200
    assert "FunctionError" not in answer
    assert json.load(answer["Payload"])["event"] == {"a": 1}


def test_invoke_takes_an_arn(aws_lambda: "LambdaClient") -> None:
    arn = "arn:aws:lambda:us-east-1:123456789012:function:EchoFunction"
    assert aws_lambda.invoke(FunctionName=arn)["StatusCode"] == 200
    assert aws_lambda.invoke(FunctionName=f"{arn}:$LATEST")["StatusCode"] == 200


@pytest.mark.parametrize(
    ("function", "how", "kind"),
    [
        ("CrashFunction", "raise", "ValueError"),
        ("CrashFunction", "kill", "Runtime.ExitError"),
        ("BrokenFunction", "", "Runtime.ImportModuleError"),
    ],
)
def test_invoke_names_a_functions_error(aws_lambda: "LambdaClient", function: str, how: str, kind: str) -> None:
    payload = json.dumps({"pathParameters": {"how": how}})
    answer = aws_lambda.invoke(FunctionName=function, Payload=payload)
    assert answer["FunctionError"] == "Unhandled"
    assert json.load(answer["Payload"])["errorType"] == kind


def test_invoke_as_an_event_does_not_wait(aws_lambda: "LambdaClient", tmp_path: Path) -> None:
    mark = tmp_path / "started"
    payload = json.dumps({"seconds": 0.2, "mark": str(mark)})
    answer = aws_lambda.invoke(FunctionName="SleepFunction", InvocationType="Event", Payload=payload)
    assert answer["StatusCode"] == 202
    until(mark.exists)


def test_invoke_keeps_lambdas_limits(aws_lambda: "LambdaClient") -> None:
    def invoke(**arguments: Any) -> str:
        with pytest.raises(ClientError) as refusal:
            aws_lambda.invoke(**arguments)
        return refusal.value.response["Error"]["Code"]

    big = b'"' + b"x" * (MAX_REQUEST_BYTES - 2) + b'"'
    assert aws_lambda.invoke(FunctionName="SleepFunction", Payload=big)["StatusCode"] == 200
    assert invoke(FunctionName="EchoFunction", Payload=big + b" ") == "RequestTooLargeException"
    assert invoke(FunctionName="EchoFunction", Payload=big, InvocationType="Event") == "RequestTooLargeException"
    assert invoke(FunctionName="EchoFunction", Payload=b"{") == "InvalidRequestContentException"
    assert invoke(FunctionName="NoFunction") == "ResourceNotFoundException"

    answer = aws_lambda.invoke(FunctionName="AnswerFunction", Payload=json.dumps({"body": '{"size": 6300000}'}))
    assert json.load(answer["Payload"])["errorType"] == "Function.ResponseSizeTooLarge"


def test_workers_run_this_python(fixture_stack: Stack) -> None:
    path = run(fixture_stack.functions["ImportsFunction"], modules=[])["path"]
    assert not any(folder.startswith(sys.prefix) and "site-packages" in folder for folder in path)
