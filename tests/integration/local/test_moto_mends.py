"""What moto gets wrong in Step Functions is right here: one test a mend."""

import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.batch import MAX_CONTAINERS
from local.stack import Stack
from tests.integration.local.conftest import Records
from tests.waiting import until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

Described = Any
PASS = {"Type": "Pass", "End": True}
NUMBERS_ONLY = {
    "StartAt": "Choose",
    "States": {
        "Choose": {
            "Type": "Choice",
            "Choices": [{"Variable": "$", "IsNumeric": True, "Next": "Good"}],
            "Default": "Bad",
        },
        "Good": PASS,
        "Bad": {"Type": "Fail", "Error": "States.NoChoiceMatched", "Cause": "no number"},
    },
}


def work(**more: Any) -> dict[str, Any]:
    """Return a state that has the work function answer its input."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "WorkFunction", "Payload.$": "$"},
        "OutputPath": "$.Payload",
        "End": True,
        **more,
    }


def program(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"StartAt": "Only", "States": {"Only": state}, **more}


def distributed(processor: dict[str, Any], **more: Any) -> dict[str, Any]:
    config = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    return {"Type": "Map", "Label": "each", "ItemProcessor": config | processor, "End": True, **more}


class Machines:
    """State machines of the test's own, in the stack's Step Functions."""

    def __init__(self, stack: Stack) -> None:
        self.steps: SFNClient = stack.client("stepfunctions")
        arn = stack.functions["StarterFunction"].environment["MACHINE_ARN"]
        self.role = self.steps.describe_state_machine(stateMachineArn=arn)["roleArn"]
        self.arns: list[str] = []

    def create(self, definition: dict[str, Any]) -> str:
        made = self.steps.create_state_machine(
            name=f"test-{uuid.uuid4()}", definition=json.dumps(definition), roleArn=self.role
        )
        self.arns.append(made["stateMachineArn"])
        return made["stateMachineArn"]

    def start(self, definition: dict[str, Any], value: Any = None, **more: Any) -> str:
        arn = self.create(definition)
        return self.steps.start_execution(stateMachineArn=arn, input=json.dumps(value), **more)["executionArn"]

    def describe(self, execution: str) -> Described:
        return self.steps.describe_execution(executionArn=execution)

    def wait(self, execution: str) -> Described:
        return until(lambda: ((described := self.describe(execution))["status"] != "RUNNING" and described) or None)

    def run(self, definition: dict[str, Any], value: Any = None) -> Described:
        return self.wait(self.start(definition, value))

    def output(self, definition: dict[str, Any], value: Any = None) -> Any:
        described = self.run(definition, value)
        assert described["status"] == "SUCCEEDED", (described.get("error"), described.get("cause"))
        return json.loads(described["output"])

    def history(self, execution: str) -> list[Any]:
        return list(self.steps.get_execution_history(executionArn=execution)["events"])


@pytest.fixture
def machines(event_stack: Stack) -> Iterator[Machines]:
    machines = Machines(event_stack)
    yield machines
    for arn in machines.arns:
        machines.steps.delete_state_machine(stateMachineArn=arn)


@pytest.fixture
def s3(event_stack: Stack) -> "S3Client":
    client: S3Client = event_stack.client("s3")
    return client


def test_the_language_works(machines: Machines, records: Records) -> None:
    definition: Any = {
        "StartAt": "Both",
        "States": {
            "Both": {
                "Type": "Parallel",
                "Branches": [program(work()), program({"Type": "Wait", "Seconds": 0, "End": True})],
                "ResultPath": "$.both",
                "Next": "Which",
            },
            "Which": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.both[0].n", "NumericGreaterThan": 1, "Next": "Retried"}],
                "Default": "Unreached",
            },
            "Retried": {
                **work(Retry=[{"ErrorEquals": ["ValueError"], "IntervalSeconds": 1, "MaxAttempts": 2}]),
                "Parameters": {"FunctionName": "WorkFunction", "Payload": {"fail": 2}},
                "ResultPath": None,
                "Next": "Caught",
            },
            "Caught": {
                **work(Catch=[{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "Done"}]),
                "Parameters": {"FunctionName": "WorkFunction", "Payload": {"fail": 99}},
            },
            "Unreached": {"Type": "Fail"},
            "Done": PASS,
        },
    }
    for name in ("Retried", "Caught"):
        definition["States"][name].pop("End", None)
        definition["States"][name].pop("OutputPath", None)
    definition["States"]["Caught"]["End"] = True
    output = machines.output(definition, {"n": 2})
    assert output["both"] == [{"n": 2}, {"n": 2}]
    assert output["error"]["Error"] == "ValueError"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.list[0].name", "a"),
        ("$.list[0]", {"name": "a"}),
        ("$.list[*].name", ["a", "b"]),
        ("$.list[0:1].name", ["a"]),
        ("$['list'][1]['name']", "b"),
    ],
)
def test_a_path_gives_its_value(machines: Machines, path: str, value: Any) -> None:
    names = [{"name": "a"}, {"name": "b"}]
    state = PASS | {"Parameters": {"value.$": path}}
    assert machines.output(program(state), {"list": names}) == {"value": value}


@pytest.mark.parametrize(
    "state",
    [
        {"Type": "Map", "ItemProcessor": NUMBERS_ONLY, "End": True},
        {"Type": "Parallel", "Branches": [NUMBERS_ONLY], "End": True},
        {"Type": "Fail", "Error": "States.NoChoiceMatched"},
    ],
)
def test_states_errors_keep_their_names(machines: Machines, state: dict[str, Any]) -> None:
    described = machines.run(program(state), ["a"])
    assert (described["status"], described["error"]) == ("FAILED", "States.NoChoiceMatched")


def test_a_timeout_in_a_map_is_no_other_failure_of_a_task(machines: Machines, records: Records) -> None:
    each = {"Type": "Map", "ItemProcessor": program(work(TimeoutSeconds=1)), "End": True}
    catchers = [
        {"ErrorEquals": ["States.TaskFailed"], "Next": "Failed"},
        {"ErrorEquals": ["States.Timeout"], "Next": "TimedOut"},
    ]
    definition = {
        "StartAt": "Each",
        "States": {
            "Each": each | {"Catch": catchers},
            "Failed": PASS | {"Result": "failed"},
            "TimedOut": PASS | {"Result": "timed out"},
        },
    }
    assert machines.output(definition, [{"sleep": 5}]) == "timed out"


def test_what_has_ended_does_not_fail_later(machines: Machines, records: Records) -> None:
    from moto.stepfunctions.parser.asl.eval.program_state import ProgramStopped
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    execution = machines.start(program(work()), {"sleep": 5})
    records.wait("WorkFunction")
    machines.steps.stop_execution(executionArn=execution)
    backend = stepfunctions_parser_backends["123456789012"]["us-east-1"]
    described: Any = backend.describe_execution(execution)
    environment = described.exec_worker.env
    environment.set_error({"error": "Late"})
    environment.set_timed_out()
    assert isinstance(environment.program_state(), ProgramStopped)


@pytest.mark.parametrize("how", ["task", "inline", "distributed", "parallel"])
def test_a_stop_ends_at_once(machines: Machines, records: Records, how: str) -> None:
    states = {
        "task": work(),
        "inline": {"Type": "Map", "ItemProcessor": program(work()), "MaxConcurrency": 1, "End": True},
        "distributed": distributed(program(work()), MaxConcurrency=1),
        "parallel": {"Type": "Parallel", "Branches": [program(work())], "End": True},
    }
    value = {"sleep": 5}
    many = how in ("inline", "distributed")
    execution = machines.start(program(states[how]), [value, value] if many else value)
    records.wait("WorkFunction")
    started = time.monotonic()
    machines.steps.stop_execution(executionArn=execution, error="Cancelled", cause="as asked")
    described = machines.describe(execution)
    assert time.monotonic() - started < 4, "it did not wait for its task"
    assert described["status"] == "ABORTED"
    assert (described["error"], described["cause"]) == ("Cancelled", "as asked")
    assert described["stopDate"]
    last = machines.history(execution)[-1]
    assert last["type"] == "ExecutionAborted"
    assert last["executionAbortedEventDetails"] == {"error": "Cancelled", "cause": "as asked"}
    assert len(records.of("WorkFunction")) == 1


def test_a_stop_of_what_has_ended_changes_nothing(machines: Machines) -> None:
    execution = machines.start(program(PASS))
    before = machines.wait(execution)
    assert machines.steps.stop_execution(executionArn=execution)["stopDate"] == before["stopDate"]
    assert machines.describe(execution)["status"] == "SUCCEEDED"


def test_a_timeout_of_the_whole_ends_at_once(machines: Machines, records: Records) -> None:
    execution = machines.start(program(work(), TimeoutSeconds=1), {"sleep": 8})
    described = machines.wait(execution)
    assert described["status"] == "TIMED_OUT"
    assert 1 <= (described["stopDate"] - described["startDate"]).total_seconds() < 7
    assert machines.history(execution)[-1]["type"] == "ExecutionTimedOut"


def test_a_map_goes_through_many_items(machines: Machines) -> None:
    each = {"Type": "Map", "ItemProcessor": program(PASS), "MaxConcurrency": 1, "End": True}
    items = list(range(1100))
    assert machines.output(program(each), items) == items


def test_a_distributed_map_goes_through_many_items_in_few_threads(machines: Machines) -> None:
    items = list(range(1100))
    assert machines.output(program(distributed(program(PASS))), items) == items


def test_children_of_a_distributed_map_have_executions_of_their_own(machines: Machines) -> None:
    context = PASS | {"Parameters": {"execution.$": "$$.Execution", "item.$": "$"}}
    selector = {"index.$": "$$.Map.Item.Index", "value.$": "$$.Map.Item.Value", "all.$": "$"}
    execution = machines.start(program(distributed(program(context), ItemSelector=selector)), ["a", "b"], name="job")
    answers = json.loads(machines.wait(execution)["output"])
    assert [answer["item"] for answer in answers] == [
        {"index": 0, "value": "a", "all": ["a", "b"]},
        {"index": 1, "value": "b", "all": ["a", "b"]},
    ]
    children = [answer["execution"] for answer in answers]
    assert len({child["Name"] for child in children} | {"job"}) == 3
    for child in children:
        assert child["Id"] == f"{execution.rpartition(':')[0]}/each:{child['Name']}"
        assert datetime.fromisoformat(child["StartTime"]).tzinfo


@pytest.mark.parametrize(
    ("tolerance", "succeeds"),
    [
        ({}, False),
        ({"ToleratedFailurePercentage": 20.0}, False),
        ({"ToleratedFailurePercentage": 25.0}, True),
        ({"ToleratedFailureCount": 1}, True),
    ],
)
def test_a_distributed_map_tolerates_what_it_is_told_to(
    machines: Machines, records: Records, tolerance: dict[str, float], succeeds: bool
) -> None:
    described = machines.run(program(distributed(NUMBERS_ONLY, MaxConcurrency=2, **tolerance)), [1, "bad", 2, 3])
    if not succeeds:
        assert (described["status"], described["error"]) == ("FAILED", "States.ExceedToleratedFailureThreshold")
        return
    one, bad, two, three = json.loads(described["output"])
    assert (one, two, three) == (1, 2, 3)
    assert (bad["Status"], bad["Input"], bad["Error"]) == ("FAILED", '"bad"', "States.NoChoiceMatched")


def test_a_distributed_map_reads_and_writes_s3(
    machines: Machines, event_stack: Stack, s3: "S3Client", records: Records
) -> None:
    bucket = event_stack.bucket_name
    s3.put_object(Bucket=bucket, Key="jobs/items.json", Body=json.dumps([1, "bad", 2]))
    state = distributed(
        NUMBERS_ONLY,
        ToleratedFailurePercentage=50.0,
        ItemReader={
            "Resource": "arn:aws:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSON"},
            "Parameters": {"Bucket.$": "$.bucket", "Key.$": "$.key"},
        },
        ResultWriter={
            "Resource": "arn:aws:states:::s3:putObject",
            "Parameters": {"Bucket.$": "$.bucket", "Prefix": "results"},
        },
        ResultPath="$.written",
    )
    execution = machines.start(program(state), {"bucket": bucket, "key": "jobs/items.json"})
    described = machines.wait(execution)
    output = json.loads(described["output"])
    assert output["key"] == "jobs/items.json"
    run_arn, details = output["written"]["MapRunArn"], output["written"]["ResultWriterDetails"]
    assert details == {"Bucket": bucket, "Key": f"results/{run_arn.rpartition(':')[2]}/manifest.json"}

    def read(key: str) -> Any:
        return json.load(s3.get_object(Bucket=bucket, Key=key)["Body"])

    manifest = read(details["Key"])
    assert (manifest["DestinationBucket"], manifest["MapRunArn"]) == (bucket, run_arn)
    assert manifest["ResultFiles"]["PENDING"] == []
    [succeeded], [failed] = manifest["ResultFiles"]["SUCCEEDED"], manifest["ResultFiles"]["FAILED"]
    assert [child["Output"] for child in read(succeeded["Key"])] == ["1", "2"]
    assert [(child["Input"], child["Error"]) for child in read(failed["Key"])] == [('"bad"', "States.NoChoiceMatched")]
    assert s3.head_object(Bucket=bucket, Key=failed["Key"])["ContentLength"] == failed["Size"]

    [run] = machines.steps.list_map_runs(executionArn=execution)["mapRuns"]
    counts = machines.steps.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]
    assert (counts["total"], counts["succeeded"], counts["failed"], counts["running"]) == (3, 2, 1, 0)


def test_services_take_and_give_what_states_hold(machines: Machines, event_stack: Stack) -> None:
    target = {"Bucket": event_stack.bucket_name, "Key": "state.json"}
    definition = {
        "StartAt": "Put",
        "States": {
            "Put": {
                "Type": "Task",
                "Resource": "arn:aws:states:::aws-sdk:s3:putObject",
                "Parameters": {**target, "Body.$": "$"},
                "Next": "Get",
            },
            "Get": {
                "Type": "Task",
                "Resource": "arn:aws:states:::aws-sdk:s3:getObject",
                "Parameters": target,
                "End": True,
            },
        },
    }
    output = machines.output(definition, {"a": [1]})
    assert json.loads(output["Body"]) == {"a": [1]}
    assert datetime.fromisoformat(output["LastModified"]).tzinfo


def test_services_parameters_are_in_step_functions_case(machines: Machines, event_stack: Stack) -> None:
    arn = event_stack.functions["StarterFunction"].environment["MACHINE_ARN"]
    resource = "arn:aws:states:::aws-sdk:sfn:describeStateMachine"
    described = {"Type": "Task", "Resource": resource, "Parameters": {"StateMachineArn": arn}, "End": True}
    assert machines.output(program(described))["StateMachineArn"] == arn


def test_an_execution_is_whole_from_its_start(machines: Machines) -> None:
    execution = machines.start(program({"Type": "Wait", "Seconds": 20, "End": True}), {"a": 1})
    first = machines.history(execution)[0]
    assert first["type"] == "ExecutionStarted"
    assert json.loads(first["executionStartedEventDetails"]["input"]) == {"a": 1}
    machines.steps.stop_execution(executionArn=execution)
    assert machines.describe(execution)["status"] == "ABORTED"


def test_executions_without_a_name_get_one(machines: Machines) -> None:
    arn = machines.create(program(PASS | {"Parameters": {"name.$": "$$.Execution.Name"}}))
    executions = {machines.steps.start_execution(stateMachineArn=arn)["executionArn"] for _ in range(2)}
    assert len(executions) == 2
    for execution in executions:
        assert json.loads(machines.wait(execution)["output"]) == {"name": execution.rpartition(":")[2]}


def test_a_redrive_begins_with_the_state_that_had_failed(machines: Machines, records: Records) -> None:
    definition = {
        "StartAt": "Before",
        "States": {"Before": {"Type": "Pass", "Result": {"fail": 1}, "Next": "Only"}, "Only": work()},
    }
    execution = machines.start(definition, name="again")
    described = machines.wait(execution)
    assert (described["status"], described["redriveStatus"]) == ("FAILED", "REDRIVABLE")

    machines.steps.redrive_execution(executionArn=execution)
    described = machines.wait(execution)
    assert (described["status"], described["name"], described["redriveCount"]) == ("SUCCEEDED", "again", 1)
    assert json.loads(described["output"]) == {"fail": 1}
    assert "error" not in described
    assert described["redriveDate"] > described["startDate"]
    events = machines.history(execution)
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    types = [event["type"] for event in events]
    assert types.count("PassStateEntered") == 1
    assert types[types.index("ExecutionFailed") + 1 :][:2] == ["ExecutionRedriven", "TaskStateEntered"]

    with pytest.raises(ClientError, match="ExecutionNotRedrivable"):
        machines.steps.redrive_execution(executionArn=execution)


def test_what_was_stopped_can_be_redriven(machines: Machines, records: Records) -> None:
    execution = machines.start(program(work(), TimeoutSeconds=30), {"sleep": 3})
    records.wait("WorkFunction")
    machines.steps.stop_execution(executionArn=execution)
    machines.steps.redrive_execution(executionArn=execution)
    assert machines.describe(execution)["status"] == "RUNNING"
    assert machines.wait(execution)["status"] == "SUCCEEDED"


def container(stack: Stack, script: str, **more: Any) -> dict[str, Any]:
    """Return a state that runs a shell script as a Batch job."""
    variables = stack.functions["StarterFunction"].environment
    parameters = {
        "JobName": "job",
        "JobQueue": variables["JOB_QUEUE"],
        "JobDefinition": variables["JOB_DEFINITION"],
        "ContainerOverrides": {"Environment": [{"Name": "SCRIPT", "Value": script}]},
    }
    resource = "arn:aws:states:::batch:submitJob.sync"
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True, **more}


LOOP = 'trap "exit 64" TERM; touch "$RECORDS/up"; while :; do sleep 0.05; done'


@pytest.fixture
def is_up(records: Records) -> Iterator[Callable[[], Any]]:
    """Return what waits until the script runs."""
    up = records.folder / "up"
    yield lambda: until(up.exists)
    up.unlink(missing_ok=True)


def test_a_batch_job_is_waited_for(machines: Machines, event_stack: Stack, records: Records) -> None:
    output = machines.output(program(container(event_stack, "exit 0")))
    assert (output["Status"], output["JobName"], output["Container"]["ExitCode"]) == ("SUCCEEDED", "job", 0)


def test_a_batch_job_that_fails_is_a_task_that_failed(machines: Machines, event_stack: Stack) -> None:
    described = machines.run(program(container(event_stack, "exit 64")))
    assert (described["status"], described["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(described["cause"])
    assert (cause["StatusReason"], cause["Container"]["ExitCode"]) == ("Essential container in task exited", 64)


def test_a_batch_job_that_is_refused_is_an_error_of_the_submission(machines: Machines, event_stack: Stack) -> None:
    state = container(event_stack, "exit 0")
    state["Parameters"]["JobDefinition"] = "nothing"
    assert machines.run(program(state))["error"] == "Batch.ClientException"


@pytest.mark.parametrize("how", ["task", "map"])
def test_a_stop_ends_the_batch_job(machines: Machines, event_stack: Stack, is_up: Callable[[], Any], how: str) -> None:
    state = container(event_stack, LOOP)
    if how == "map":
        state = {"Type": "Map", "ItemProcessor": program(state), "End": True}
    execution = machines.start(program(state), [1])
    is_up()
    machines.steps.stop_execution(executionArn=execution)
    until(lambda: not event_stack.pids["containers"])


def test_a_timeout_leaves_the_batch_job_alone(machines: Machines, event_stack: Stack, is_up: Callable[[], Any]) -> None:
    """AWS promises to end it for a stop only."""
    described = machines.run(program(container(event_stack, LOOP, TimeoutSeconds=2)))
    assert (described["status"], described["error"]) == ("FAILED", "States.Timeout")
    is_up()  # else the signal might come before the trap, and Batch would begin anew
    [pid] = event_stack.pids["containers"].values()
    os.kill(pid, signal.SIGTERM)
    until(lambda: not event_stack.pids["containers"])


def test_a_timeout_bounds_the_wait_for_a_container(machines: Machines, event_stack: Stack) -> None:
    batch = event_stack.client("batch")
    variables = event_stack.functions["StarterFunction"].environment
    busy = [
        batch.submit_job(
            jobName="busy",
            jobQueue=variables["JOB_QUEUE"],
            jobDefinition=variables["JOB_DEFINITION"],
            containerOverrides={"environment": [{"name": "SCRIPT", "value": "exec sleep 60"}]},
        )["jobId"]
        for _ in range(MAX_CONTAINERS)
    ]
    described = machines.run(program(container(event_stack, "exit 0", TimeoutSeconds=1)))
    assert described["error"] == "States.Timeout"
    for job_id in busy:
        batch.terminate_job(jobId=job_id, reason="done")
    until(lambda: not event_stack.pids["containers"])
