"""Reads template.yaml: what CloudFormation would make of the functions, routes and buckets in it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

ACCOUNT_ID = "123456789012"
REGION = "us-east-1"
NO_VALUE = object()
EVENT_TYPES = {"EventBridgeRule", "HttpApi", "SQS", "Schedule"}
PSEUDO_PARAMETERS: dict[str, Any] = {
    "AWS::AccountId": ACCOUNT_ID,
    "AWS::NoValue": NO_VALUE,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::URLSuffix": "amazonaws.com",
}


@dataclass(frozen=True)
class FunctionResource:
    """A Lambda function as the template declares it, Globals merged in."""

    name: str
    folder: Path
    handler: str
    timeout: float
    memory_mb: int
    concurrency: int | None
    json_logs: bool
    environment: dict[str, str]
    layers: tuple[Path, ...]
    event_retries: int = 2
    failure_destination: str = ""


@dataclass(frozen=True)
class Authorizer:
    """A Lambda authorizer of the HTTP API."""

    function: str
    headers: tuple[str, ...]
    cache_seconds: int


@dataclass(frozen=True)
class Route:
    """A route of the HTTP API and the function behind it."""

    method: str
    path: str
    function: str
    authorizer: Authorizer | None
    timeout: float


@dataclass(frozen=True)
class Schedule:
    """What invokes a function over and over."""

    name: str
    function: str
    every: timedelta | None


@dataclass(frozen=True)
class QueueMapping:
    """What invokes a function with the messages of a queue."""

    function: str
    queue_arn: str
    batch_size: int
    reports_failures: bool


@dataclass(frozen=True)
class JobDefinitionResource:
    """What a Batch job runs.

    `folder` has the Dockerfile of its image; `evaluate_on_exit` is as in the template.
    """

    name: str
    arn: str
    image: str
    folder: Path
    environment: dict[str, str]
    attempts: int
    evaluate_on_exit: tuple[dict[str, str], ...]


class Template:
    """A SAM template with its parameters given.

    Parameters
    ----------
    path
        The template file; folders in it are relative to its own.
    parameters
        Values for its parameters; the others take their defaults, and names it does not declare are ignored.
    stack_name
        What names of resources begin with.
    """

    def __init__(self, path: Path, parameters: Mapping[str, str], stack_name: str = "studio-local") -> None:
        self._folder = path.resolve().parent
        self._document: dict[str, Any] = yaml_parse(path.read_text())
        self._values = {**PSEUDO_PARAMETERS, "AWS::StackName": stack_name}
        for name, declared in self._document.get("Parameters", {}).items():
            value = parameters.get(name, declared.get("Default"))
            if value is None:
                raise ValueError(f"template parameter {name} has no value")
            match declared["Type"]:
                case "String" | "Number":
                    self._values[name] = str(value)
                case "CommaDelimitedList":
                    self._values[name] = str(value).split(",")
                case other:
                    raise NotImplementedError(f"template parameter of type {other}")
        self._global_function: dict[str, Any] = self.resolve(self._document.get("Globals", {}).get("Function", {}))
        self._resolved = cache(self._resolve_properties)

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the resolved properties of all resources of a type, by logical id."""
        return {
            name: self._resolved(name)
            for name, resource in self._document["Resources"].items()
            if resource["Type"] == kind and self._holds(resource.get("Condition"))
        }

    def functions(self) -> list[FunctionResource]:
        """Return every function."""
        return [self._function(name, own) for name, own in self.resources("AWS::Serverless::Function").items()]

    def routes(self) -> list[Route]:
        """Return every route of the HTTP API."""
        auth = self._http_api().get("Auth", {})
        authorizers = {
            name: Authorizer(
                function=declared["FunctionArn"].rpartition(":")[2],
                headers=tuple(declared["Identity"]["Headers"]),
                cache_seconds=int(declared["Identity"].get("ReauthorizeEvery", 0)),
            )
            for name, declared in auth.get("Authorizers", {}).items()
        }
        return [
            Route(
                method=event["Method"].upper(),
                path=event["Path"],
                function=function,
                authorizer=authorizers.get(event.get("Auth", {}).get("Authorizer", auth.get("DefaultAuthorizer"))),
                timeout=float(event.get("TimeoutInMillis", 30_000)) / 1000,
            )
            for function, _, event in self._events("HttpApi")
        ]

    def schedules(self) -> list[Schedule]:
        """Return every schedule; one that is disabled, or no rate, has no `every`."""
        return [
            Schedule(f"{function}{name}", function, _rate(_without(event, "Input")))
            for function, name, event in self._events("Schedule")
        ]

    def rules(self) -> list[tuple[str, dict[str, Any]]]:
        """Return every rule for events: the function that it invokes, and its pattern."""
        return [
            (function, _without(event, "Input")["Pattern"]) for function, _, event in self._events("EventBridgeRule")
        ]

    def queues(self) -> dict[str, dict[str, str]]:
        """Return the attributes of every queue, as SQS's API names them, by its name."""
        return {
            self._attribute(name, "QueueName"): {
                key: json.dumps(value) if isinstance(value, dict) else _text(value) for key, value in own.items()
            }
            for name, own in self.resources("AWS::SQS::Queue").items()
        }

    def queue_mappings(self) -> list[QueueMapping]:
        """Return every function that is invoked with the messages of a queue."""
        return [
            QueueMapping(
                function=function,
                queue_arn=event["Queue"],
                batch_size=int(event.get("BatchSize", 10)),
                reports_failures="ReportBatchItemFailures" in event.get("FunctionResponseTypes", []),
            )
            for function, _, event in self._events("SQS")
        ]

    def state_machines(self) -> dict[str, str]:
        """Return the definition of every state machine, in JSON, by its name."""
        return {
            self._attribute(name, "Name"): json.dumps(self._definition(_without(own, "Definition", "Events")))
            for name, own in self.resources("AWS::Serverless::StateMachine").items()
        }

    def job_definitions(self) -> list[JobDefinitionResource]:
        """Return every job definition of Batch."""
        return [
            JobDefinitionResource(
                name=self._attribute(name, "Name"),
                arn=self._reference(name),
                image=(container := own["ContainerProperties"])["Image"],
                folder=self._folder / self._document["Resources"][name]["Metadata"]["Container"],
                environment={item["Name"]: _text(item["Value"]) for item in container.get("Environment", [])},
                attempts=int((strategy := own.get("RetryStrategy", {})).get("Attempts", 1)),
                evaluate_on_exit=tuple(strategy.get("EvaluateOnExit", [])),
            )
            for name, own in self.resources("AWS::Batch::JobDefinition").items()
        ]

    def cors(self) -> dict[str, Any]:
        """Return the HTTP API's CORS configuration; empty where it has none."""
        return _without(self._http_api().get("CorsConfiguration", {}), "AllowCredentials")

    def _events(self, kind: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield function, name and properties of every event of a type."""
        for function, own in self.resources("AWS::Serverless::Function").items():
            for name, event in own.get("Events", {}).items():
                if event["Type"] not in EVENT_TYPES:
                    raise NotImplementedError(f"event of type {event['Type']}")
                if event["Type"] == kind:
                    yield function, name, event["Properties"]

    def _http_api(self) -> dict[str, Any]:
        return next(iter(self.resources("AWS::Serverless::HttpApi").values()), {})

    def _function(self, name: str, own: dict[str, Any]) -> FunctionResource:
        merged = {**self._global_function, **own}
        variables = {
            **self._global_function.get("Environment", {}).get("Variables", {}),
            **own.get("Environment", {}).get("Variables", {}),
        }
        layers = [*self._global_function.get("Layers", []), *own.get("Layers", [])]
        concurrency = merged.get("ReservedConcurrentExecutions")
        asynchronous = merged.get("EventInvokeConfig") or self._event_invoke_config(name)
        return FunctionResource(
            name=name,
            folder=self._folder / merged["CodeUri"],
            handler=merged["Handler"],
            timeout=float(merged.get("Timeout", 3)),
            memory_mb=int(merged.get("MemorySize", 128)),
            concurrency=None if concurrency is None else int(concurrency),
            json_logs=merged.get("LoggingConfig", {}).get("LogFormat") == "JSON",
            environment={key: _text(value) for key, value in variables.items()},
            layers=tuple(self._folder / self._resolved(layer)["ContentUri"] for layer in layers),
            event_retries=int(asynchronous.get("MaximumRetryAttempts", 2)),
            failure_destination=_failure_destination(asynchronous),
        )

    def _event_invoke_config(self, function: str) -> dict[str, Any]:
        """Return the configuration that is a resource of its own, beside the function."""
        configurations = self.resources("AWS::Lambda::EventInvokeConfig").values()
        return next((found for found in configurations if found["FunctionName"] == function), {})

    def _definition(self, own: dict[str, Any]) -> Any:
        text = (self._folder / own["DefinitionUri"]).read_text()
        for name, value in own.get("DefinitionSubstitutions", {}).items():
            text = text.replace(f"${{{name}}}", _text(value))
        return yaml_parse(text)

    def _resolve_properties(self, name: str) -> dict[str, Any]:
        properties: dict[str, Any] = self.resolve(self._document["Resources"][name].get("Properties", {}))
        return properties

    def resolve(self, node: Any) -> Any:
        """Return a piece of the template with its intrinsic functions worked out."""
        if isinstance(node, list):
            return [value for value in map(self.resolve, node) if value is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            [(key, argument)] = node.items()
            if key == "Ref":
                return self._reference(argument)
            if key.startswith("Fn::"):
                return self._call(key.removeprefix("Fn::"), argument)
        resolved = {key: self.resolve(value) for key, value in node.items()}
        return {key: value for key, value in resolved.items() if value is not NO_VALUE}

    def _call(self, function: str, argument: Any) -> Any:
        match function:
            case "If":
                return self.resolve(argument[1] if self._holds(argument[0]) else argument[2])
            case "Equals":
                left, right = self.resolve(argument)
                return _text(left) == _text(right)
            case "Not":
                return not self._truth(argument[0])
            case "And":
                return all(map(self._truth, argument))
            case "Or":
                return any(map(self._truth, argument))
            case "Join":
                return argument[0].join(map(_text, self.resolve(argument[1])))
            case "Sub":
                text, local = argument if isinstance(argument, list) else (argument, {})
                return re.sub(r"\$\{([^!}]+)\}", lambda match: self._substitute(match[1], local), text).replace(
                    "${!", "${"
                )
            case "GetAtt":
                name, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
                return self._attribute(name, attribute)
        raise NotImplementedError(f"template function Fn::{function}")

    def _truth(self, node: Any) -> bool:
        if isinstance(node, dict) and "Condition" in node:
            return self._holds(node["Condition"])
        return bool(self.resolve(node))

    def _holds(self, condition: str | None) -> bool:
        return condition is None or self._truth(self._document["Conditions"][condition])

    def _substitute(self, name: str, local: dict[str, Any]) -> str:
        if name in local:
            return _text(self.resolve(local[name]))
        resource, dot, attribute = name.partition(".")
        return _text(self._attribute(resource, attribute) if dot else self._reference(name))

    def _reference(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        match self._document["Resources"][name]["Type"]:
            case "AWS::S3::Bucket":
                return f"{self._values['AWS::StackName']}-{name}".lower()
            case "AWS::Serverless::StateMachine":
                return self._attribute(name, "Arn")
            case "AWS::SQS::Queue":
                return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT_ID}/{self._attribute(name, 'QueueName')}"
            case "AWS::Batch::JobQueue":
                return f"arn:aws:batch:{REGION}:{ACCOUNT_ID}:job-queue/{name}"
            case "AWS::Batch::JobDefinition":
                return f"arn:aws:batch:{REGION}:{ACCOUNT_ID}:job-definition/{self._attribute(name, 'Name')}:1"
        return name

    def _attribute(self, name: str, attribute: str) -> str:
        resource = self._document["Resources"][name]
        if resource["Type"] == "AWS::Serverless::StateMachine":
            # Stacks share moto's memory.
            own = self.resolve(resource["Properties"].get("Name", name))
            full = own if own.startswith(stack := self._values["AWS::StackName"]) else f"{stack}-{own}"
            return {"Name": full, "Arn": f"arn:aws:states:{REGION}:{ACCOUNT_ID}:stateMachine:{full}"}[attribute]
        if resource["Type"] == "AWS::SQS::Queue":
            full = f"{self._values['AWS::StackName']}-{name}"  # moto's memory, too
            return {"QueueName": full, "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{full}"}[attribute]
        if resource["Type"] == "AWS::Batch::JobDefinition" and attribute == "Name":
            return str(self.resolve(resource["Properties"].get("JobDefinitionName", name)))
        if resource["Type"] == "AWS::ECR::Repository" and attribute == "RepositoryUri":
            return f"{ACCOUNT_ID}.dkr.ecr.{REGION}.amazonaws.com/{name.lower()}"
        service = {
            "AWS::IAM::Role": f"iam::{ACCOUNT_ID}:role/",
            "AWS::Serverless::Function": f"lambda:{REGION}:{ACCOUNT_ID}:function:",
            "AWS::S3::Bucket": "s3:::",
            "AWS::Logs::LogGroup": f"logs:{REGION}:{ACCOUNT_ID}:log-group:",
        }.get(resource["Type"])
        if attribute != "Arn" or service is None:
            raise NotImplementedError(f"template attribute {name}.{attribute}")
        return f"arn:aws:{service}{self._reference(name)}"


def _failure_destination(asynchronous: dict[str, Any]) -> str:
    """Return the function that events go to when they have failed; empty where there is none."""
    destination = asynchronous.get("DestinationConfig", {}).get("OnFailure", {})
    if destination.get("Type", "Lambda") != "Lambda":
        raise NotImplementedError(f"failure destination of type {destination['Type']}")
    return str(destination.get("Destination", "")).rpartition(":")[2]


def _without(properties: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return properties; what they must not have is not ignored, for the stack would not do as the template says."""
    if found := properties.keys() & names:
        raise NotImplementedError(f"template property {', '.join(sorted(found))}")
    return properties


def _rate(schedule: dict[str, Any]) -> timedelta | None:
    if schedule.get("State") == "DISABLED" or schedule.get("Enabled") is False:
        return None
    if not (rate := re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule["Schedule"])):
        return None
    return timedelta(**{f"{rate[2]}s": int(rate[1])})


def _text(value: Any) -> str:
    """Return a value as CloudFormation writes it where it wants a string."""
    return str(value).lower() if isinstance(value, bool) else str(value)
