"""Step Functions on this machine: the template's state machines in moto's interpreter."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from moto.events.models import EventPattern

from local import moto_mends
from local.events import event_of

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class StateMachines:
    """The state machines of one stack.

    Parameters
    ----------
    client
        A client of the stack's Step Functions.
    rules
        What is invoked on changes of an execution's status: functions, each with a pattern of events.
    deliver
        What takes a function and an event for it.
    """

    def __init__(
        self,
        client: "SFNClient",
        rules: Sequence[tuple[str, dict[str, Any]]],
        deliver: Callable[[str, bytes], object],
    ) -> None:
        moto_mends.apply()
        self._client, self._rules, self._deliver = client, rules, deliver
        self._role_arn = moto_mends.role_of(client.meta.endpoint_url)
        moto_mends.watchers[self._role_arn] = self._tell

    def create(self, definitions: Mapping[str, str]) -> None:
        """Create state machines, by their names."""
        for name, definition in definitions.items():
            self._client.create_state_machine(name=name, definition=definition, roleArn=self._role_arn)

    def close(self) -> None:
        """Stop what runs, and delete all."""
        del moto_mends.watchers[self._role_arn]
        for page in self._client.get_paginator("list_state_machines").paginate():
            for machine in page["stateMachines"]:
                arn = machine["stateMachineArn"]
                # moto's memory is the whole process's.
                if self._client.describe_state_machine(stateMachineArn=arn)["roleArn"] == self._role_arn:
                    self._stop(arn)
                    self._client.delete_state_machine(stateMachineArn=arn)

    def _tell(self, execution: Any) -> None:
        event: Any = status_event(execution)
        for function, pattern in self._rules:
            if EventPattern(None, pattern).matches_event(event):
                self._deliver(function, json.dumps(event).encode())

    def _stop(self, arn: str) -> None:
        pages = self._client.get_paginator("list_executions").paginate(stateMachineArn=arn, statusFilter="RUNNING")
        for execution in [execution for page in pages for execution in page["executions"]]:
            self._client.stop_execution(executionArn=execution["executionArn"])


def status_event(execution: Any) -> dict[str, object]:
    """Return EventBridge's event of an execution's status."""
    detail = {**moto_mends.describe(execution), "stateMachineVersionArn": None, "stateMachineAliasArn": None}
    for name in ("startDate", "stopDate", "redriveDate"):
        detail[name] = detail[name] and int(detail[name].timestamp() * 1000)
    return event_of("aws.states", "Step Functions Execution Status Change", execution.exec_arn, detail)
