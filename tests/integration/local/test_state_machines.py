"""The template's state machines run for real, and their changes of status reach functions."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.stack import Stack
from tests.integration.local.conftest import EVENTS, Records
from tests.waiting import until

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

INPUT = {"items": [], "fail": 0, "sleep": 0}


@pytest.fixture
def arn(event_stack: Stack) -> str:
    return event_stack.functions["StarterFunction"].environment["MACHINE_ARN"]


@pytest.fixture
def steps(event_stack: Stack) -> "SFNClient":
    client: SFNClient = event_stack.client("stepfunctions")
    return client


class Machine:
    """The state machine, with what tests do to it."""

    def __init__(self, steps: "SFNClient", arn: str) -> None:
        self.steps, self.arn = steps, arn

    def start(self, name: str, **parts: Any) -> str:
        started = self.steps.start_execution(stateMachineArn=self.arn, name=name, input=json.dumps({**INPUT, **parts}))
        return started["executionArn"]

    def wait(self, execution: str, status: str) -> "DescribeExecutionOutputTypeDef":
        described: DescribeExecutionOutputTypeDef

        def ended() -> bool:
            nonlocal described
            described = self.steps.describe_execution(executionArn=execution)
            return described["status"] != "RUNNING"

        until(ended)
        assert described["status"] == status, described
        return described


@pytest.fixture
def machine(steps: "SFNClient", arn: str) -> Machine:
    return Machine(steps, arn)


def test_functions_get_the_machines_names(event_stack: Stack, arn: str) -> None:
    environment = event_stack.functions["StarterFunction"].environment
    port = event_stack.aws_endpoint_url.rpartition(":")[2]
    assert arn == f"arn:aws:states:us-east-1:123456789012:stateMachine:studio-local-{port}-work"
    assert environment["MACHINE_ARN_TOO"] == arn
    assert environment["MACHINE_NAME"] == f"studio-local-{port}-work"


def test_a_machine_runs_with_the_functions_of_the_stack(machine: Machine, records: Records) -> None:
    execution = machine.start("job-1", items=[{"a": 1}, "two", 3])
    described = machine.wait(execution, "SUCCEEDED")
    assert execution == f"{machine.arn.replace(':stateMachine:', ':execution:')}:job-1"
    output = json.loads(described["output"])
    assert output["first"] == {"job_id": "job-1"}
    assert output["results"] == [{"a": 1}, "two", 3]
    assert described["stopDate"] >= described["startDate"]
    assert (described["name"], described["redriveCount"]) == ("job-1", 0)
    assert len(records.of("WorkFunction")) == 4


def test_a_name_is_used_once(machine: Machine, records: Records) -> None:
    execution = machine.start("once", sleep=3)
    assert machine.start("once", sleep=3) == execution, "the same request while it runs"
    machine.wait(execution, "SUCCEEDED")
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        machine.start("once", sleep=3)
    assert len(records.of("WorkFunction")) == 1


def test_changes_of_status_reach_the_functions_whose_rules_they_match(machine: Machine, records: Records) -> None:
    execution = machine.start("told")
    described = machine.wait(execution, "SUCCEEDED")

    def told() -> list[dict[str, Any]]:  # an earlier test's execution may still be told of
        events = [record["event"] for record in records.of("EveryStatusFunction")]
        return [event for event in events if event["resources"] == [execution]]

    until(lambda: len(told()) >= 2)
    events = told()
    [running] = [event for event in events if event["detail"]["status"] == "RUNNING"]
    [succeeded] = [event for event in events if event["detail"]["status"] == "SUCCEEDED"]
    assert succeeded.pop("id") != running.pop("id")
    assert succeeded.pop("time")
    detail = succeeded.pop("detail")
    assert succeeded == {
        "version": "0",
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": "123456789012",
        "region": "us-east-1",
        "resources": [execution],
    }
    assert detail == {
        "executionArn": execution,
        "stateMachineArn": machine.arn,
        "name": "told",
        "status": "SUCCEEDED",
        "startDate": int(described["startDate"].timestamp() * 1000),
        "stopDate": int(described["stopDate"].timestamp() * 1000),
        "input": json.dumps(INPUT),
        "output": described["output"],
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
        "inputDetails": {"included": True},
        "outputDetails": {"included": True},
        "error": None,
        "cause": None,
    }
    assert (running["detail"]["stopDate"], running["detail"]["output"]) == (None, None)
    assert records.of("EndFunction") == []


def test_a_failure_is_told_with_its_error(machine: Machine, records: Records) -> None:
    described = machine.wait(machine.start("fails", fail=9), "FAILED")
    assert described["error"] == "ValueError"
    assert json.loads(described["cause"])["errorMessage"] == "as asked"
    [record] = records.wait("EndFunction")
    detail = record["event"]["detail"]
    assert (detail["name"], detail["status"], detail["error"]) == ("fails", "FAILED", "ValueError")
    assert (detail["redriveStatus"], detail["redriveStatusReason"]) == ("REDRIVABLE", None)


def test_a_stop_is_told(machine: Machine, steps: "SFNClient", records: Records) -> None:
    execution = machine.start("stopped", sleep=5)
    records.wait("WorkFunction")
    steps.stop_execution(executionArn=execution, error="Cancelled", cause="as asked")
    [record] = records.wait("EndFunction")
    detail = record["event"]["detail"]
    assert (detail["status"], detail["error"], detail["cause"]) == ("ABORTED", "Cancelled", "as asked")


def test_stacks_do_not_see_each_others_machines(event_stack: Stack, arn: str, tmp_path: Path) -> None:
    with Stack(template=EVENTS, parameters={"Records": str(tmp_path)}) as other:
        other_arn = other.functions["StarterFunction"].environment["MACHINE_ARN"]
        assert other_arn != arn
        steps = other.client("stepfunctions")
        execution = steps.start_execution(stateMachineArn=other_arn, input=json.dumps({**INPUT, "sleep": 5}))
        while not list(tmp_path.glob("WorkFunction/*.json")):
            assert steps.describe_execution(executionArn=execution["executionArn"])["status"] == "RUNNING"
    machines = event_stack.client("stepfunctions").list_state_machines()["stateMachines"]
    assert arn in {machine["stateMachineArn"] for machine in machines}
    assert other_arn not in {machine["stateMachineArn"] for machine in machines}
