"""What moto 5.2.5 gets wrong in Step Functions, mended: one function a defect.

Each has a test in test_moto_mends.py, or in test_state_machines.py where it takes two stacks.

Loading this loads moto's interpreter, which takes a while.
"""

import copy
import datetime
import json
import logging
import re
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

from botocore.config import Config
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.response import StreamingBody
from jsonpath_ng.ext.parser import parse as jsonpath_parser
from moto.core.config import default_user_config
from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.stepfunctions.parser.api import (
    ExecutionStatus,
    HistoryEventType,
)
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.eval_component import EvalComponent
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.distributed_iteration_component import (
    DistributedIterationComponent,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.result_writer.resource_eval.resource_eval_s3 import (
    ResourceEvalS3,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.result_writer.result_writer_decl import ResultWriter
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service import StateTaskService
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_batch import (
    StateTaskServiceBatch,
)
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.eval.program_state import (
    ProgramEnded,
    ProgramError,
    ProgramRunning,
    ProgramStopped,
    ProgramTimedOut,
)
from moto.stepfunctions.parser.asl.utils import boto_client, json_path
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from moto.stepfunctions.parser.utils import camel_to_snake_case
from moto.stepfunctions.responses import StepFunctionResponse

from local.aws import connect
from local.events import timestamp
from local.template import ACCOUNT_ID

MAX_CHILDREN = 40  # at once, of a distributed Map: AWS's is 10,000
MAX_ITEMS = 3_000  # of an inline Map, whose workers go on to the next item by recursion; an export has 1,000 at most
END_SECONDS = 0.1  # what a stopped program gets to end by itself

# What is told each change of status, of executions that run in a role.
watchers: dict[str, Callable[[Any], None]] = {}


def role_of(endpoint_url: str) -> str:
    """Return the role for state machines that call what is at an endpoint.

    moto's memory is the whole process's: the role is what tells one stack's state machines from another's.
    """
    return f"arn:aws:iam::{ACCOUNT_ID}:role/local-{endpoint_url.rpartition(':')[2]}"


@cache
def apply() -> None:
    """Have moto run state machines, and mend how it does."""
    logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)  # it tells each failure, of whole states
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    sys.setrecursionlimit(MAX_ITEMS)
    call_the_executions_own_stack()
    keep_names_of_states_errors()
    keep_the_first_end()
    stop_at_once()
    give_one_value_for_one_path()
    run_children()
    write_results()
    shape_parameters_and_responses()
    end_batch_jobs()
    start_as_a_whole()
    end_as_a_whole()
    stop_with_a_reason()
    name_executions()
    describe_all()
    redrive()


def call_the_executions_own_stack() -> None:
    """Call the services of the execution's stack: all tasks called those of the first stack of the process."""
    original, lock = boto_client.boto_client_for, threading.Lock()

    @cache
    def client(service: str, role_arn: str) -> Any:
        endpoint_url = f"http://127.0.0.1:{role_arn.rpartition('-')[2]}"
        config = Config(
            parameter_validation=False,
            retries={"total_max_attempts": 1},
            read_timeout=86_400,
            max_pool_connections=99,
        )
        return connect(service, endpoint_url, config)

    def boto_client_for(region: str, service: str, state_credentials: Any) -> Any:
        with lock:  # making clients is not safe in threads
            return client(service, state_credentials.role_arn)

    _replace_everywhere(original, boto_client_for)


def keep_names_of_states_errors() -> None:
    """Keep the names of errors States.*: out of a Map, a Parallel or a Fail they came as States.Runtime."""

    @_method_of(CustomErrorName)
    def __new__(cls: type, error_name: Any) -> Any:  # noqa: N807
        try:
            return StatesErrorName.from_name(error_name)
        except ValueError:
            return object.__new__(cls)


def keep_the_first_end() -> None:
    """Keep how a program ended first: one that was stopped became one that failed when its task ended later."""
    fail, time_out = Environment.set_error, Environment.set_timed_out

    @_method_of(Environment)
    def set_error(self: Any, error: Any) -> None:
        with self._state_mutex:
            if isinstance(self._program_state, ProgramRunning):
                fail(self, error)

    @_method_of(Environment)
    def set_timed_out(self: Any) -> None:
        with self._state_mutex:
            if isinstance(self._program_state, ProgramRunning):
                time_out(self)


def stop_at_once() -> None:
    """End at once what is stopped or has timed out: it kept its status until its task had ended."""

    @_method_of(Program)
    def eval(self: Any, env: Any) -> None:
        env.next_state_name = getattr(env, "redriven_state", None) or self.start_at.start_at_name
        thread = threading.Thread(target=EvalComponent.eval, args=(self, env), daemon=True)
        thread.start()
        deadline = time.monotonic() + self.timeout_seconds.timeout_seconds if self.timeout_seconds else None
        while thread.is_alive() and not isinstance(env.program_state(), ProgramStopped | ProgramTimedOut):
            thread.join(0.02)
            if deadline and time.monotonic() > deadline:
                env.set_timed_out()
        thread.join(END_SECONDS)
        if thread.is_alive() and not env.is_frame():
            _close_history(env)


def _close_history(env: Any) -> None:
    """Add the end to a history, and let nothing in that is still under way."""
    state = env.program_state()
    if isinstance(state, ProgramStopped):
        kind = HistoryEventType.ExecutionAborted
        details = {"executionAbortedEventDetails": {"error": state.error, "cause": state.cause}}
    else:
        kind, details = HistoryEventType.ExecutionTimedOut, {"executionTimedOutEventDetails": {}}
    env.event_manager.add_event(env.event_history_context, kind, details)
    env.event_manager.add_event = lambda *_, **__: 0


def give_one_value_for_one_path() -> None:
    """Give the value of a path to one place: of `$.list[0].name` there was a list with it."""
    original, parser = json_path.extract_json, cache(jsonpath_parser)

    def extract_json(path: str, data: Any) -> Any:
        if not re.search(r"\*|\.\.|\?|\[[^\]'\"]*[:,]", path) and (matches := parser(path).find(data)):
            return matches[0].value
        return original(path, data)

    _replace_everywhere(original, extract_json)


class _Results(list[Any]):
    """What a distributed Map gives, with what is known of its children."""

    run: Any
    children: list[dict[str, Any]]

    def __deepcopy__(self, memo: Any) -> list[Any]:
        return copy.deepcopy(list(self), memo)


def run_children() -> None:
    """Run a distributed Map's children: all failures were tolerated, items had a thread each, children no name."""

    @_method_of(DistributedIterationComponent)
    def _map_run(self: Any, env: Any, eval_input: Any) -> None:
        items, run = env.stack.pop(), eval_input.map_run_record
        run_child = partial(_run_child, env, self._get_iteration_program(), eval_input)
        run.item_counter.total.count(len(items))
        run.execution_counter.total.count(len(items))
        with ThreadPoolExecutor(min(run.max_concurrency or MAX_CHILDREN, MAX_CHILDREN)) as threads:
            children = [child for child in threads.map(run_child, range(len(items)), items) if child]
        if _too_many_failed(run):
            cause = "The specified tolerated failure threshold was exceeded"
            raise _failure(env, "States.ExceedToleratedFailureThreshold", cause)
        results = _Results(
            json.loads(child["Output"]) if child["Status"] == "SUCCEEDED" else child for child in children
        )
        results.run, results.children = run, children
        env.stack.append(results)


def _too_many_failed(run: Any) -> bool:
    failed, total = run.item_counter.failed.get(), run.item_counter.total.get()
    count, percentage = run.tolerated_failure_count, run.tolerated_failure_percentage
    if not (count or percentage):
        return bool(failed)
    return bool((count and failed > count) or (percentage and failed * 100 > percentage * total))


def _run_child(env: Any, program: Any, eval_input: Any, index: int, item: Any) -> dict[str, Any] | None:
    """Run a child execution of a distributed Map; None where the Map has ended meanwhile."""
    run = eval_input.map_run_record
    if _too_many_failed(run) or not env.is_running():
        return None
    frame = env.open_inner_frame()
    context = frame.states.context_object.context_object_data
    context["Map"] = {"Item": {"Index": index, "Value": item}}
    if selector := eval_input.item_selector or eval_input.parameters:
        frame.states.reset(env.stack[-1])
        frame.stack.append(env.stack[-1])
        selector.eval(frame)
        item = frame.stack.pop()
    frame.states.reset(item)
    name, started = str(uuid.uuid4()), timestamp()
    arn = f"{run.map_state_machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
    context["Execution"] = {**context["Execution"], "Id": arn, "Name": name, "Input": item, "StartTime": started}
    counters = (run.item_counter, run.execution_counter)
    for counter in counters:
        counter.running.count()
    program.eval(frame)
    env.delete_frame(frame)
    state = frame.program_state()
    endings: dict[Any, str] = {ProgramEnded: "succeeded", ProgramError: "failed"}
    ended = endings.get(type(state), "aborted")
    for counter in counters:
        counter.running.offset(-1)
        getattr(counter, ended).count()
    child = {
        "ExecutionArn": arn,
        "Input": json.dumps(item),
        "InputDetails": {"Included": True},
        "Name": name,
        "RedriveCount": 0,
        "StartDate": started,
        "StateMachineArn": run.map_state_machine_arn,
        "Status": ended.upper(),
        "StopDate": timestamp(),
    }
    if ended == "succeeded":
        child |= {"Output": json.dumps(frame.states.get_input()), "OutputDetails": {"Included": True}}
    elif ended == "failed":
        error = state.error or {}
        child |= {"Error": error.get("error"), "Cause": error.get("cause")}
    return child


def write_results() -> None:
    """Write the results of a distributed Map: there was a manifest that named no files, in a place without paths."""

    @_method_of(ResultWriter)
    def _eval_body(self: Any, env: Any) -> None:
        results = env.stack.pop()
        self.parargs.eval(env)  # from the input of the state
        env.stack.insert(-1, results)
        self.resource_eval.eval_resource(env)

    @_method_of(ResourceEvalS3, staticmethod)
    def _handle_put_object(env: Any, resource: Any, credentials: Any) -> None:
        parameters, results = env.stack.pop(), env.stack.pop()
        s3 = ResourceEvalS3._get_s3_client(resource, credentials)
        bucket, prefix = parameters["Bucket"], parameters.get("Prefix", "").strip("/")
        arn = results.run.map_run_arn
        folder = f"{prefix}/{arn.rpartition(':')[2]}".lstrip("/")

        def put(name: str, content: Any) -> dict[str, Any]:
            body, key = json.dumps(content).encode(), f"{folder}/{name}"
            s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
            return {"Key": key, "Size": len(body)}

        files: dict[str, list[Any]] = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
        for status in files:
            if children := [child for child in results.children if child["Status"] == status]:
                files[status].append(put(f"{status}_0.json", children))
        manifest = put("manifest.json", {"DestinationBucket": bucket, "MapRunArn": arn, "ResultFiles": files})
        details = {"Bucket": bucket, "Key": manifest["Key"]}
        env.stack.append({"MapRunArn": arn, "ResultWriterDetails": details})


def _failure(env: Any, error: str, cause: str) -> Exception:
    details: Any = {"mapRunFailedEventDetails": {"error": error, "cause": cause}}
    event = FailureEvent(env, StatesErrorName.from_name(error), HistoryEventType.MapRunFailed, details)
    return FailureEventException(event)


def shape_parameters_and_responses() -> None:
    """Convert what goes between a state and a service: Batch refused names, and dates broke S3's answers."""

    @cache
    def operation(service: str, action: str) -> Any:
        model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
        names = {camel_to_snake_case(name): name for name in model.operation_names}
        return model.operation_model(names[action])

    def shapes(task: Any, service: str | None, action: str | None) -> Any:
        return operation(task._get_boto_service_name(service), task._get_boto_service_action(action))

    @_method_of(StateTaskService)
    def _normalise_parameters(
        self: Any, parameters: Any, boto_service_name: Any = None, service_action_name: Any = None
    ) -> None:
        if shape := shapes(self, boto_service_name, service_action_name).input_shape:
            self._to_boto_request(parameters, shape)

    @_method_of(StateTaskService)
    def _normalise_response(
        self: Any, response: Any, boto_service_name: Any = None, service_action_name: Any = None
    ) -> None:
        if shape := shapes(self, boto_service_name, service_action_name).output_shape:
            self._from_boto_response(response, shape)
        if isinstance(response, dict):
            response.update(json.loads(json.dumps(response, default=_text)))


def _text(value: Any) -> str:
    """Return what JSON has for a value of an SDK's that it does not know."""
    if isinstance(value, datetime.datetime):
        return value.isoformat().replace("+00:00", "Z")
    data: bytes = value.read() if isinstance(value, StreamingBody) else value
    return data.decode()


def end_batch_jobs() -> None:
    """End the job of a stopped execution: Batch went on with it."""
    build, wait = StateTaskServiceBatch._build_sync_resolver, StateTaskServiceBatch._eval_sync

    @_method_of(StateTaskServiceBatch)
    def _build_sync_resolver(
        self: Any, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
    ) -> Any:
        client: Any = boto_client.boto_client_for(resource_runtime_part.region, "batch", state_credentials)
        reason = "Step Functions has stopped the execution"
        env.end_batch_job = partial(client.terminate_job, jobId=env.stack[-1]["JobId"], reason=reason)
        return build(self, env, resource_runtime_part, normalised_parameters, state_credentials)

    @_method_of(StateTaskServiceBatch)
    def _eval_sync(self: Any, env: Any, *arguments: Any, **more: Any) -> Any:
        outcome = wait(self, env, *arguments, **more)
        if isinstance(env.program_state(), ProgramStopped):
            env.end_batch_job()
        return outcome


class _Worker(ExecutionWorker):
    """Runs an execution, whose environment is there from the start; again, where one ended before.

    Parameters
    ----------
    previous
        The environment of what is redriven.
    """

    def __init__(self, execution: Any, previous: Any = None) -> None:
        self.__dict__ |= Execution._get_start_execution_worker(execution).__dict__
        self._program: Any = self._get_evaluation_entrypoint()
        self.env: Any = self._get_evaluation_environment()
        # JSON knows no dates.
        self.env.states.context_object.context_object_data["Execution"]["StartTime"] = timestamp(execution.start_date)
        if previous:
            self._continue(previous, execution.redrive_count)
            return
        details = {
            "input": execution.execution_input,
            "inputDetails": {"truncated": False},
            "roleArn": execution.role_arn,
        }
        event: Any = {"executionStartedEventDetails": details}
        self.env.event_manager.add_event(
            self.env.event_history_context, HistoryEventType.ExecutionStarted, event, update_source_event_id=False
        )

    def _continue(self, previous: Any, count: int) -> None:
        env = self.env
        env.redriven_state, state_input = previous.entered
        env.states.reset(state_input)
        env.variable_store = previous.variable_store
        env.map_run_record_pool_manager = previous.map_run_record_pool_manager
        env.event_history_context = previous.event_history_context
        env.event_manager._history_event_list.extend(previous.event_manager.get_event_history())
        env.event_manager._event_id_gen._next_id = len(env.event_manager.get_event_history()) + 1
        details = {"executionRedrivenEventDetails": {"redriveCount": count}}
        env.event_manager.add_event(env.event_history_context, HistoryEventType.ExecutionRedriven, details)

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        self._program.eval(self.env)
        self._execution_communication.terminated()


def start_as_a_whole() -> None:
    """Start an execution as a whole, and tell of it: what was asked at once after met one without environment."""

    @_method_of(Execution)
    def start(self: Any) -> None:
        self.redrive_count, self.redrive_date, self.ended = 0, None, threading.Event()
        _start(self, _Worker(self))


def _start(execution: Any, worker: _Worker) -> None:
    execution.exec_worker = worker
    execution.exec_status = ExecutionStatus.RUNNING
    _tell(execution)
    worker.start()


def _tell(execution: Any) -> None:
    if watcher := watchers.get(execution.role_arn):
        watcher(execution)


def end_as_a_whole() -> None:
    """End an execution as a whole, and tell of it: the status came before the output, and without a stop's reason."""

    @_method_of(BaseExecutionWorkerCommunication)
    def terminated(self: Any) -> None:
        execution, env = self.execution, self.execution.exec_worker.env
        state = env.program_state()
        execution.stop_date = datetime.datetime.now(datetime.UTC)
        if isinstance(state, ProgramEnded):
            execution.output = env.states.get_input()
            status = ExecutionStatus.SUCCEEDED
        elif isinstance(state, ProgramError):
            error = state.error or {}
            execution.error, execution.cause = error.get("error"), error.get("cause")
            status = ExecutionStatus.FAILED
        elif isinstance(state, ProgramStopped):
            execution.error, execution.cause = state.error, state.cause
            status = ExecutionStatus.ABORTED
        else:
            status = ExecutionStatus.TIMED_OUT
        execution.exec_status = status
        _tell(execution)
        execution.ended.set()

    original = CommonStateField._eval_body

    @_method_of(CommonStateField)
    def _eval_body(self: Any, env: Any) -> None:
        if not env.is_frame():
            env.entered = (self.name, env.states.get_input())
        original(self, env)


def stop_with_a_reason() -> None:
    """Stop for a reason: StopExecution forgot error and cause, and answered before the execution was ABORTED."""

    @_method_of(StepFunctionResponse)
    def stop_execution(self: Any) -> ActionResult:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        if execution.status == "RUNNING":
            now = datetime.datetime.now(datetime.UTC)
            execution.stop(stop_date=now, error=self._get_param("error"), cause=self._get_param("cause"))
            execution.ended.wait(60)
        return ActionResult({"stopDate": execution.stop_date})


def name_executions() -> None:
    """Name executions: one started without a name had none, and two at once might have the same."""
    original, lock = StepFunctionsParserBackend.start_execution, threading.Lock()

    @_method_of(StepFunctionsParserBackend)
    def start_execution(
        self: Any, state_machine_arn: str, name: str | None = None, *arguments: Any, **more: Any
    ) -> Any:
        name = name or str(uuid.uuid4())
        self._validate_name(name)
        with lock:
            return original(self, state_machine_arn, name, *arguments, **more)


def describe_all() -> None:
    """Describe all of an execution: DescribeExecution left out when it timed out, redrives, and a text's quotes."""

    @_method_of(StepFunctionResponse)
    def describe_execution(self: Any) -> ActionResult:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        return ActionResult({name: value for name, value in describe(execution).items() if value is not None})


def describe(execution: Any) -> dict[str, Any]:
    """Return what DescribeExecution and events say about an execution; None is what they do not know."""
    status = execution.status
    output = json.dumps(execution.output) if status == "SUCCEEDED" else None
    not_redrivable = status in ("RUNNING", "SUCCEEDED")
    return {
        "executionArn": execution.exec_arn,
        "stateMachineArn": execution.state_machine.arn,
        "name": execution.name,
        "status": status,
        "startDate": execution.start_date,
        "stopDate": None if status == "RUNNING" else execution.stop_date,
        "input": execution.execution_input,
        "inputDetails": {"included": True},
        "output": output,
        "outputDetails": {"included": True} if output else None,
        "error": execution.error,
        "cause": execution.cause,
        "redriveCount": execution.redrive_count,
        "redriveDate": execution.redrive_date,
        "redriveStatus": "NOT_REDRIVABLE" if not_redrivable else "REDRIVABLE",
        "redriveStatusReason": f"Execution is {status} and cannot be redriven" if not_redrivable else None,
    }


class ExecutionNotRedrivableError(AWSError):
    """The execution runs or has succeeded."""

    TYPE = "ExecutionNotRedrivable"
    STATUS = 400


def redrive() -> None:
    """Add RedriveExecution, which begins the state anew in which the execution had ended."""

    @_method_of(StepFunctionResponse)
    def redrive_execution(self: Any) -> ActionResult:
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        if reason := describe(execution)["redriveStatusReason"]:
            raise ExecutionNotRedrivableError(reason)
        execution.redrive_count += 1
        execution.redrive_date = datetime.datetime.now(datetime.UTC)
        execution.stop_date = execution.error = execution.cause = None
        execution.ended.clear()
        _start(execution, _Worker(execution, previous=execution.exec_worker.env))
        return ActionResult({"redriveDate": execution.redrive_date})


def _method_of(owner: Any, kind: Callable[[Any], Any] = lambda method: method) -> Callable[[Any], Any]:
    """Return a decorator that makes a function a method of a class, in place of the one of its name."""

    def put(method: Any) -> Any:
        setattr(owner, method.__name__, kind(method))
        return method

    return put


def _replace_everywhere(old: Any, new: Any) -> None:
    """Replace a function in every module that has imported it by name."""
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("moto."):
            for name, value in list(vars(module).items()):
                if value is old:
                    setattr(module, name, new)
