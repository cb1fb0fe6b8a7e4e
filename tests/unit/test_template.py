"""template.yaml: what the linters do not see."""

import graphlib
import importlib.util
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from local import batch, openapi
from local.deploy import build_variables
from local.images import Image, list_images
from local.template import Template
from studio.auth import deletion, repository
from studio.auth.deletion import LONGEST_SWEEP_SECONDS
from studio.auth.models import DeletedUser
from studio.compute_tasks import dispatch
from studio.compute_tasks import repository as compute_tasks
from studio.compute_tasks.callbacks import announce
from studio.compute_tasks.models import Job, JobError
from studio.compute_tasks.recovery import clean_up
from studio.compute_tasks.registry import BATCH_ATTEMPTS, TASKS, Task
from studio.compute_tasks.settings import CallbackSettings
from studio.minimatics.export.settings import ExportSettings
from studio.settings import Settings
from studio.storage import StorageSettings
from studio.tone_mapping.cache.service import _LONGEST_PURGE_SECONDS

ROOT = Path(__file__).parents[2]


def to_cloudformation(text: str) -> dict[str, Any]:
    """Return the plain CloudFormation template that SAM makes of a template's text."""
    template = yaml_parse(text)
    for resource in template["Resources"].values():
        for name in {"CodeUri", "ContentUri", "DefinitionUri"} & resource["Properties"].keys():
            resource["Properties"][name] = "s3://bucket/key"  # as after packaging
    made: dict[str, Any] = transform(template, {}, managed_policy_loader=None)
    return made


def references(node: Any) -> Iterator[str]:
    """Names that a piece of a template refers to."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "Ref":
                yield value
            elif name == "Fn::GetAtt":
                yield value[0] if isinstance(value, list) else value.split(".")[0]
            elif name == "Fn::Sub":
                text = value if isinstance(value, str) else value[0]
                for part in text.split("${")[1:]:
                    yield part.split("}")[0].split(".")[0]
            elif name == "DependsOn":
                yield from [value] if isinstance(value, str) else value
            yield from references(value)


def dependency_order(template: dict[str, Any]) -> list[str]:
    resources = template["Resources"]
    graph = {name: set(references(resource)) & resources.keys() for name, resource in resources.items()}
    return list(graphlib.TopologicalSorter(graph).static_order())


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    found: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return found


@pytest.fixture(scope="module")
def resources(template: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"]
    return found


@pytest.fixture(scope="module")
def functions(template: dict[str, Any], resources: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {"Timeout": template["Globals"]["Function"]["Timeout"], **resource["Properties"]}
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def test_resources_do_not_depend_on_each_other_in_circles() -> None:
    transformed = to_cloudformation((ROOT / "template.yaml").read_text())
    assert sorted(dependency_order(transformed)) == sorted(transformed["Resources"])


def test_a_circle_would_be_found() -> None:
    text = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Environment:
      Variables:
        MACHINE: !Ref Machine
Resources:
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: s3://bucket/definition.asl.yaml
      DefinitionSubstitutions:
        Worker: !GetAtt Worker.Arn
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.11
      Handler: app.lambda_handler
      CodeUri: functions/worker
"""
    with pytest.raises(graphlib.CycleError):
        dependency_order(to_cloudformation(text))


def test_every_function_folder_is_in_the_template_once(functions: dict[str, Any]) -> None:
    folders = sorted(str(path.parent.relative_to(ROOT)) for path in ROOT.glob("functions/*/*/app.py"))
    assert sorted(function["CodeUri"] for function in functions.values()) == folders


def test_every_function_has_an_event_folder() -> None:
    functions = {path.parent.relative_to(ROOT / "functions") for path in ROOT.glob("functions/*/*/app.py")}
    events = {path.parent.relative_to(ROOT / "events") for path in ROOT.glob("events/*/*/*.json")}
    assert functions == events
    for folder in functions:
        assert (ROOT / "events" / folder / "success.json").exists()


def test_routes_of_the_template_are_routes_of_the_api_document(functions: dict[str, Any]) -> None:
    routes = {
        (event["Properties"]["Method"].lower(), event["Properties"]["Path"])
        for function in functions.values()
        if not function["CodeUri"].startswith("functions/web/")
        for event in function.get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }
    documented = {(method, path) for path, operations in openapi.build()["paths"].items() for method in operations}
    assert routes == documented


def test_only_the_public_routes_go_without_a_key(functions: dict[str, Any]) -> None:
    public = {
        event["Properties"]["Path"]
        for function in functions.values()
        for event in function.get("Events", {}).values()
        if event["Properties"].get("Auth", {}).get("Authorizer") == "NONE"
    }
    assert public == openapi.PUBLIC_PATHS | {"/", "/docs", "/docs/{file}", "/openapi.json"}


def test_the_authorizer_can_be_invoked(resources: dict[str, Any]) -> None:
    [authorizer] = resources["HttpApi"]["Properties"]["Auth"]["Authorizers"].values()
    assert authorizer["EnableFunctionDefaultPermissions"] is True
    assert authorizer["EnableSimpleResponses"] is True
    assert authorizer["AuthorizerPayloadFormatVersion"] == "2.0"


def statements(node: Any) -> Iterator[dict[str, Any]]:
    """IAM statements that allow something, wherever in a piece of a template."""
    if isinstance(node, list):
        for item in node:
            yield from statements(item)
    elif isinstance(node, dict):
        if node.get("Effect") == "Allow" and "Action" in node:
            yield node
        for value in node.values():
            yield from statements(value)


# IAM knows no resources for these.
OF_ANY_RESOURCE = {"batch:DescribeJobs", "ecr:GetAuthorizationToken"}


def too_wide(statement: dict[str, Any]) -> bool:
    listed = {key: value if isinstance(value, list) else [value] for key, value in statement.items()}
    if set(map(str, listed["Action"])) <= OF_ANY_RESOURCE:
        return False
    # A resource policy has no Resource: it is attached to one.
    return any("*" in json.dumps(action) for action in listed["Action"]) or "*" in listed.get("Resource", [])


def reads_secrets(resource: dict[str, Any]) -> bool:
    return any("secretsmanager:GetSecretValue" in statement["Action"] for statement in statements(resource))


@pytest.fixture
def transformed() -> dict[str, Any]:
    found: dict[str, Any] = to_cloudformation((ROOT / "template.yaml").read_text())["Resources"]
    return found


def test_no_policy_allows_everything(transformed: dict[str, Any]) -> None:
    found = [(name, statement) for name, resource in transformed.items() for statement in statements(resource)]
    assert len(found) > 20
    assert [name for name, statement in found if too_wide(statement)] == []


@pytest.mark.parametrize(
    ("action", "resource"), [("s3:*", "arn"), (["s3:GetObject", "*"], "arn"), ("s3:GetObject", ["*"])]
)
def test_a_policy_that_allows_everything_would_be_found(action: str | list[str], resource: str | list[str]) -> None:
    inside_if = {"Fn::If": ["A", {"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]}, 1]}
    assert [too_wide(statement) for statement in statements(inside_if)] == [True]


def test_nobody_may_write_every_object_of_users(transformed: dict[str, Any]) -> None:
    """Whoever grades puts no upload in another's place, and no film."""
    writing = {
        name: json.dumps(statement["Resource"])
        for name, resource in transformed.items()
        for statement in statements(resource)
        if "s3:PutObject" in statement["Action"]
    }
    assert len(writing) > 10
    assert [name for name, written in writing.items() if '/users/*"' in written] == []


def test_every_role_that_reads_a_secret_may_use_its_key(transformed: dict[str, Any]) -> None:
    readers = {name for name, resource in transformed.items() if reads_secrets(resource)} - {"StorageSecretPolicy"}
    assert readers | roles_of(transformed["StorageSecretPolicy"]) == roles_of(transformed["SecretsKeyPolicy"])


def roles_of(policy: dict[str, Any]) -> set[str]:
    return {name for name in references(policy["Properties"]["Roles"]) if not name.startswith("AWS::")}


def test_whoever_keeps_media_may_read_the_key_of_another_store(transformed: dict[str, Any]) -> None:
    keeping = {
        name
        for name, resource in transformed.items()
        if any("s3:" in json.dumps(statement["Action"]) for statement in statements(resource))
    }
    # Step Functions reads and writes S3 itself, and the images' sources are there, whatever keeps the media.
    others = {"BulkGradeStateMachineRole", "ImageProjectRole"}
    assert roles_of(transformed["StorageSecretPolicy"]) == keeping - others


def test_a_missing_object_is_no_forbidden_one(transformed: dict[str, Any]) -> None:
    """S3 answers 403 for one unless its bucket may be listed; a condition of a prefix does not hold for one object."""
    without = set()
    for name, resource in transformed.items():
        own = list(statements(resource))
        if name != "MediaBucketPolicy" and any("s3:GetObject" in statement["Action"] for statement in own):
            lists = [item for item in own if "s3:ListBucket" in item["Action"] and "Condition" not in item]
            without |= set() if lists else {name}
    # The first only signs URLs of previews; what the others read was written right before.
    assert without == {"GetJobStatusFunctionRole", "BulkGradeStateMachineRole", "ImageProjectRole"}


OTHER_STORE = {
    "MongoDbSecretArn": "arn",
    "StorageEndpointUrl": "https://s3.us-west-004.backblazeb2.com",
    "StorageRegion": "us-west-004",
    "StorageBucketName": "photos",
    "StorageSecretArn": "arn:of:the:store",
}


@pytest.mark.parametrize("parameters", [{"MongoDbSecretArn": "arn"}, OTHER_STORE])
def test_the_environment_makes_settings_of_a_store(parameters: dict[str, str]) -> None:
    images = {"BatchEnabled": "true", "RunTaskImageTag": "1", "MinimaticsExportImageTag": "1"}
    template = Template(ROOT / "template.yaml", parameters | images)
    assert len(template.job_definitions()) == 2
    environments = [function.environment for function in template.functions()]
    for environment in [*environments, *(container.environment for container in template.job_definitions())]:
        settings = StorageSettings.model_validate(environment)
        if "StorageEndpointUrl" in parameters:
            told = (settings.storage_endpoint_url, settings.storage_region, settings.storage_secret_arn)
            assert told == ("https://s3.us-west-004.backblazeb2.com", "us-west-004", "arn:of:the:store")
            assert (settings.bucket_name, settings.upload_method) == ("photos", "PUT")
            assert settings.map_bucket_name == "studio-local-mediabucket"
        else:
            assert {settings.storage_endpoint_url, settings.map_bucket_name} == {""}
            assert (settings.bucket_name, settings.upload_method) == ("studio-local-mediabucket", "POST")


def test_what_takes_an_idempotency_key_can_reach_mongodb(resources: dict[str, Any], functions: dict[str, Any]) -> None:
    taking = [name for name, item in functions.items() if Path(item["CodeUri"]).name in openapi.idempotent_operations()]
    assert len(taking) == len(openapi.idempotent_operations())
    assert [name for name in taking if "MongoDbSecretArn" not in references(functions[name]["Policies"])] == []
    assert "idempotency-replayed" in resources["HttpApi"]["Properties"]["CorsConfiguration"]["ExposeHeaders"]


def test_whatever_takes_a_key_can_count_its_requests(resources: dict[str, Any], functions: dict[str, Any]) -> None:
    keyed = [
        name
        for name, function in functions.items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "HttpApi" and event["Properties"].get("Auth", {}).get("Authorizer") != "NONE"
    ]
    assert len(keyed) > 30
    assert [name for name in keyed if "MongoDbSecretArn" not in references(functions[name]["Policies"])] == []
    exposed = resources["HttpApi"]["Properties"]["CorsConfiguration"]["ExposeHeaders"]
    told = {"ratelimit", "ratelimit-policy", "retry-after", "location", "x-request-id", "content-disposition"}
    assert told <= set(exposed)


def test_callbacks_are_tried_as_often_as_their_queue_lets_them(
    resources: dict[str, Any], functions: dict[str, Any]
) -> None:
    queue = resources["CallbackQueue"]["Properties"]
    function = functions["DeliverCallbackFunction"]
    attempts = int(function["Environment"]["Variables"]["CALLBACK_ATTEMPTS"])
    assert queue["RedrivePolicy"]["maxReceiveCount"] == attempts
    # A batch has time for receivers that do not answer, and its messages stay hidden meanwhile.
    seconds = CallbackSettings.model_fields["callback_timeout_seconds"].default
    assert function["Timeout"] >= 2 * seconds * function["Events"]["Queue"]["Properties"]["BatchSize"]
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]


def test_whoever_ends_jobs_may_tell_so(transformed: dict[str, Any]) -> None:
    senders = {
        name.removesuffix("FunctionRole")
        for name, resource in transformed.items()
        if any("sqs:SendMessage" in statement["Action"] for statement in statements(resource))
    }
    assert senders == {
        "AutoCorrect",  # one that waits for its job ends it where the worker crashed
        "Adjust",
        "ApplyPreset",
        "CompleteBulkJob",
        "PlanExport",
        "CompleteExport",
        "MinimaticsExportJobRole",
        "CancelJob",
        "RunTask",
        "RunTaskJobRole",
        "ReconcileTasks",
        "CleanUpTasks",
    }


def variables(properties: dict[str, Any]) -> set[str]:
    return set(properties.get("Environment", {}).get("Variables", {}))


def test_what_nobody_waits_for_is_patient_with_the_store(
    transformed: dict[str, Any], functions: dict[str, Any]
) -> None:
    """Scheduled ones come again by themselves."""
    uses_store = {name for name in functions if "s3:" in json.dumps([*statements(transformed[f"{name}Role"])])}
    waited_for = {name for name, function in functions.items() if function.get("Events")}
    assert {name for name in functions if "STORAGE_PATIENT" in variables(functions[name])} == uses_store - waited_for
    assert len(uses_store - waited_for) > 3


def test_a_container_has_the_environment_of_the_worker(functions: dict[str, Any], resources: dict[str, Any]) -> None:
    shared = yaml_parse((ROOT / "template.yaml").read_text())["Globals"]["Function"]
    worker = variables(shared) | variables(functions["RunTaskFunction"])
    for definition, without in (
        ("RunTaskJobDefinition", set()),
        ("MinimaticsExportJobDefinition", {"IMAGE_URL_ENABLED"}),
    ):
        container = resources[definition]["Properties"]["ContainerProperties"]
        names = {item["Name"] for item in container["Environment"]}
        assert worker - without == names - {"POWERTOOLS_TRACE_DISABLED", "AWS_DEFAULT_REGION"}


def test_an_exports_disk_is_the_one_that_is_told(resources: dict[str, Any]) -> None:
    container = resources["MinimaticsExportJobDefinition"]["Properties"]["ContainerProperties"]
    assert container["EphemeralStorage"]["SizeInGiB"] == ExportSettings().export_disk_gb


BATCH_TASKS = {name: task for name, task in TASKS.items() if "BATCH" in task.targets}
# https://docs.aws.amazon.com/batch/latest/APIReference/API_ResourceRequirement.html
FARGATE_MB = {
    1: range(2048, 8193, 1024),
    2: range(4096, 16385, 1024),
    4: range(8192, 30721, 1024),
    8: range(16384, 61441, 4096),
    16: range(32768, 122881, 8192),
}


@pytest.mark.parametrize("name", BATCH_TASKS)
def test_what_a_task_asks_for_is_there(name: str) -> None:
    task = BATCH_TASKS[name]
    assert task.resources.memory_mb in FARGATE_MB[int(task.resources.vcpu)]


def test_batch_makes_the_attempts_that_a_task_may_have(resources: dict[str, Any]) -> None:
    for definition in ("RunTaskJobDefinition", "MinimaticsExportJobDefinition"):
        assert resources[definition]["Properties"]["RetryStrategy"]["Attempts"] == BATCH_ATTEMPTS
    with pytest.raises(ValueError, match="3 attempts at most; got 4"):
        Task(request="studio:Order", targets=("LAMBDA", "BATCH"), attempts=4)
    assert Task(request="studio:Order", attempts=4).attempts == 4


@pytest.mark.parametrize(
    ("code", "reason", "again"),
    [
        (64, "Essential container in task exited", False),
        (64, "Your Spot Task was interrupted.", False),
        (1, "Essential container in task exited", True),
        (137, "Essential container in task exited", True),
        (143, "Your Spot Task was interrupted.", True),
        (2, "Essential container in task exited", True),
        (None, "Your Spot Task was interrupted.", True),
        (None, "Task failed to start", True),
        (None, "CannotPullContainerError: pull image manifest has been retried 5 time(s)", True),
        (None, "ResourceInitializationError: unable to pull secrets or registry auth", True),
    ],
)
def test_batch_tries_again_what_was_lost(resources: dict[str, Any], code: int | None, reason: str, again: bool) -> None:
    for definition in ("RunTaskJobDefinition", "MinimaticsExportJobDefinition"):
        strategy = resources[definition]["Properties"]["RetryStrategy"]
        assert batch.retries(strategy["EvaluateOnExit"], code, reason) is again


def test_an_image_is_made_of_what_is_there(resources: dict[str, Any]) -> None:
    for resource in resources.values():
        if resource["Type"] == "AWS::Batch::JobDefinition":
            folder = ROOT / resource["Metadata"]["Container"]
            sources = re.findall(r"^COPY (\S+) ", (folder / "Dockerfile").read_text(), re.MULTILINE)
            assert sources
            assert all((ROOT / source).exists() for source in sources)
            *_, module = batch.entry_point(folder)
            assert importlib.util.find_spec(module)


@pytest.mark.parametrize("image", list_images(), ids=lambda image: image.name)
def test_an_image_has_what_a_deployment_looks_for(image: Image, resources: dict[str, Any]) -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    assert template["Parameters"][image.tag_parameter]["Default"] == ""
    output = template["Outputs"][image.repository_output]
    [repository] = references(output)
    assert output["Condition"] == resources[repository]["Condition"] == "HasBatch"
    # Its tag is its digest, so it is never another one; older ones are deleted, as many as there are.
    properties = resources[repository]["Properties"]
    assert properties["ImageTagMutability"] == "IMMUTABLE"
    assert json.loads(properties["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert repository in references(resources["ImageProjectRole"]), "what builds images may not push it"
    # What names its tag is not there before it is.
    [condition] = {
        resource["Condition"] for resource in resources.values() if image.tag_parameter in set(references(resource))
    }
    assert image.tag_parameter in references(template["Conditions"][condition])


def test_images_are_built_as_they_are_ordered(resources: dict[str, Any]) -> None:
    project = resources["ImageProject"]["Properties"]
    commands = yaml_parse(project["Source"]["BuildSpec"])["phases"]["build"]["commands"]
    assert set(re.findall(r"\$\{?([A-Z]+)", str(commands))) == build_variables(list_images()[0], "repository").keys()
    assert [command.split()[:2] for command in commands[1:]] == [["docker", "build"], ["docker", "push"]]


def test_a_job_definition_is_named_without_its_revision(resources: dict[str, Any]) -> None:
    """A deployment deregisters the revision that a waiting execution would ask for."""
    definitions = {name for name, resource in resources.items() if resource["Type"] == "AWS::Batch::JobDefinition"}
    for name in definitions:
        assert not [user for user, other in resources.items() if name in set(references(other.get("Properties", {})))]
        own = resources[name]["Properties"]["JobDefinitionName"]["Fn::Sub"]
        [machine] = [resource for resource in resources.values() if resource.get("DependsOn") == name]
        assert {"Fn::Sub": own} in machine["Properties"]["DefinitionSubstitutions"].values()
        [statement] = [item for item in statements(machine) if "batch:SubmitJob" in item["Action"]]
        allowed = str(statement["Resource"])
        assert f":job-definition/{own}'" in allowed
        assert f":job-definition/{own}:*'" in allowed


def alarms(resources: dict[str, Any]) -> set[tuple[str, str]]:
    """Metrics that alarms watch, each with what it is of."""
    found = set()
    for resource in resources.values():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            own = resource["Properties"]
            of = next(references(own.get("Dimensions", [])), "")
            found.add((f"{own['Namespace']} {own['MetricName']}", of))
    return found


def test_what_fails_unseen_has_an_alarm(resources: dict[str, Any], functions: dict[str, Any]) -> None:
    """A state machine, a queue of what was given up, a function that answers nobody."""
    expected = {("AWS/ApiGateway 5xx", "HttpApi"), ("AWS/Lambda Throttles", "")}
    expected |= {(f"Studio {metric}", "Stage") for metric in ("JobFault", "DeletionDelayed", "CleanUpDelayed")}
    asked = {"AuthorizeRequestFunction"}  # by the API
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::StateMachine":
            # An execution that has no time limit is never out of time: where a state of it is, it has failed.
            if "TimeoutSeconds" in yaml_parse((ROOT / properties["DefinitionUri"]).read_text()):
                expected.add(("AWS/States ExecutionsTimedOut", name))
            asked |= set(references(properties["DefinitionSubstitutions"]))
        if resource["Type"] == "AWS::SQS::Queue" and "RedrivePolicy" in properties:
            [dead_letters] = references(properties["RedrivePolicy"])
            expected.add(("AWS/SQS ApproximateNumberOfMessagesVisible", dead_letters))
    for name, function in functions.items():
        routes = [event for event in function.get("Events", {}).values() if event["Type"] == "HttpApi"]
        if not routes and name not in asked:
            expected.add(("AWS/Lambda Errors", name))
    assert alarms(resources) == expected


def test_every_alarm_tells_who_wants_to_know(resources: dict[str, Any]) -> None:
    tells = {"Fn::If": ["HasAlarmEmail", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]}
    for alarm in resources.values():
        if alarm["Type"] == "AWS::CloudWatch::Alarm":
            assert alarm["Properties"]["AlarmActions"] == tells
            # Nothing happens for most of the time, and that is no data.
            assert alarm["Properties"]["TreatMissingData"] == "notBreaching"
            # That of what is not there, is not there either.
            for name in set(references(alarm["Properties"].get("Dimensions", []))):
                assert alarm.get("Condition") == resources.get(name, {}).get("Condition")


@pytest.mark.parametrize(("status", "is_fault"), [(422, False), (409, False), (500, True), (504, True)])
def test_the_alarm_of_jobs_is_of_what_is_counted(
    resources: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    is_fault: bool,
) -> None:
    alarm = resources["JobFaultsAlarm"]["Properties"]
    template = Template(ROOT / "template.yaml", {"MongoDbSecretArn": "arn", "Stage": "prod"})
    [environment] = [item.environment for item in template.functions() if item.name == "ReconcileTasksFunction"]
    for name in ("STAGE", "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"):
        monkeypatch.setenv(name, environment[name])
    Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]
    now = datetime.now(UTC)
    job = Job(
        id="job_1",
        user_id="usr_1",
        key_id="key_1",
        scopes=[],
        task_type="adjust",
        target="BATCH",
        status="FAILED",
        payload={},
        error=JobError(code="E", message="no", status=status),
        created_at=now,
        queued_at=now,
        expires_at=now,
    )
    announce(job)
    Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]
    counted = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    found = [line for line in counted if alarm["MetricName"] in line]
    assert len(found) == is_fault
    for line in found:
        [metric] = line["_aws"]["CloudWatchMetrics"]
        assert metric["Namespace"] == alarm["Namespace"]
        told = {name: line[name] for name in metric["Dimensions"][0]}
        watched = {item["Name"]: item["Value"] for item in alarm["Dimensions"]}
        assert told == {"service": "studio", "stage": "prod"}
        assert watched == {"service": "studio", "stage": {"Ref": "Stage"}}


def test_the_alarm_of_deletions_is_of_what_is_counted(
    resources: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(user: DeletedUser, deadline: float) -> bool:
        raise ReadTimeoutError(endpoint_url="https://s3.test")

    alarm = resources["DeletionDelayedAlarm"]["Properties"]
    template = Template(ROOT / "template.yaml", {"MongoDbSecretArn": "arn", "Stage": "prod"})
    [environment] = [item.environment for item in template.functions() if item.name == "SweepDeletedUsersFunction"]
    for name in ("STAGE", "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"):
        monkeypatch.setenv(name, environment[name])
    now = datetime.now(UTC)
    users = [DeletedUser(id="usr_1", deleted_at=now, swept_at=now)]
    monkeypatch.setattr(repository, "claim_deleted_user", lambda *times: users.pop() if users else None)
    monkeypatch.setattr(deletion, "_sweep_user", fail)
    Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]
    assert deletion.sweep() == 0
    Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]
    counted = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [found] = [line for line in counted if alarm["MetricName"] in line]
    [metric] = found["_aws"]["CloudWatchMetrics"]
    assert metric["Namespace"] == alarm["Namespace"]
    assert {name: found[name] for name in metric["Dimensions"][0]} == {"service": "studio", "stage": "prod"}
    watched = {item["Name"]: item["Value"] for item in alarm["Dimensions"]}
    assert watched == {"service": "studio", "stage": {"Ref": "Stage"}}


def test_the_alarm_of_clean_ups_is_of_what_is_counted_once_in_each(
    resources: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(job: Job) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "DescribeExecution")

    alarm = resources["CleanUpDelayedAlarm"]["Properties"]
    template = Template(ROOT / "template.yaml", {"MongoDbSecretArn": "arn", "Stage": "prod"})
    [environment] = [item.environment for item in template.functions() if item.name == "CleanUpTasksFunction"]
    for name in ("STAGE", "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"):
        monkeypatch.setenv(name, environment[name])
    now = datetime.now(UTC)
    job = Job(
        id="job_1",
        user_id="usr_1",
        key_id="key_1",
        scopes=[],
        task_type="bulk_grade",
        target="LAMBDA",
        payload={},
        execution_arn="arn:of:an:execution",
        created_at=now,
        queued_at=now,
        expires_at=now,
    )
    monkeypatch.setattr(compute_tasks, "find_stale", lambda *limits: [job, job, job])
    monkeypatch.setattr(dispatch, "find_execution", refuse)
    Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]
    assert clean_up() == 3
    Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]
    counted = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [found] = [line for line in counted if alarm["MetricName"] in line]
    [metric] = found["_aws"]["CloudWatchMetrics"]
    assert metric["Namespace"] == alarm["Namespace"]
    assert {name: found[name] for name in metric["Dimensions"][0]} == {"service": "studio", "stage": "prod"}
    watched = {item["Name"]: item["Value"] for item in alarm["Dimensions"]}
    assert watched == {"service": "studio", "stage": {"Ref": "Stage"}}


def test_the_dashboard_can_be_read(resources: dict[str, Any]) -> None:
    text = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    widgets = json.loads(re.sub(r"\$\{[^}]+\}", "x", text))["widgets"]
    places = [
        (x, y)
        for widget in widgets
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(places) == len(set(places)), "widgets lie upon each other"
    assert max(x for x, _ in places) < 24


def states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


# What Step Functions says of a function that was lost. Only a state that has no job of ours behind it begins again.
LOST = {"GradeImage": {"Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout"}}
MACHINES = {path.parent.name: path for path in ROOT.glob("statemachines/*/definition.asl.yaml")}


@pytest.mark.parametrize("name", MACHINES)
def test_a_state_machine_can_be_redriven_and_read(name: str) -> None:
    """A failure that is caught is none to Step Functions; one that is retried here would be a second job of ours."""
    text = MACHINES[name].read_text()
    for state_name, state in states(yaml_parse(text)):
        assert state["Comment"], state_name
        assert re.search(rf"# in: .*\n\s*# out: .*\n\s*{state_name}:", text), f"{state_name} shows no sample"
        assert state["Type"] != "Fail"
        assert "Catch" not in state
        errors = {error for retrier in state.get("Retry", []) for error in retrier["ErrorEquals"]}
        lost = LOST.get(state_name, set())
        assert errors >= lost
        assert all(error.startswith(("Lambda.", "Batch.")) for error in errors - {"TransientError"} - lost), state_name
        assert ("TransientError" in errors) is (":lambda:" in state.get("Resource", "")), state_name
        if ":batch:" in state.get("Resource", ""):
            assert state.keys() & {"TimeoutSeconds", "TimeoutSecondsPath"}, f"{state_name} may wait for ever"


def test_a_state_says_when_another_try_may_do(resources: dict[str, Any], functions: dict[str, Any]) -> None:
    invoked = {
        name
        for resource in resources.values()
        if resource["Type"] == "AWS::Serverless::StateMachine"
        for name in set(references(resource["Properties"]["DefinitionSubstitutions"])) & functions.keys()
    }
    assert len(invoked) == 6
    for name in invoked:
        assert "\n@state_handler\ndef lambda_handler(" in (ROOT / functions[name]["CodeUri"] / "app.py").read_text()


def test_a_purge_ends_before_its_function_does(functions: dict[str, Any]) -> None:
    assert functions["PurgeCacheFunction"]["Timeout"] >= _LONGEST_PURGE_SECONDS + 5


def test_a_sweep_ends_before_its_function_does(functions: dict[str, Any]) -> None:
    assert functions["SweepDeletedUsersFunction"]["Timeout"] >= LONGEST_SWEEP_SECONDS + 15


def test_the_worker_may_start_the_next_attempt(resources: dict[str, Any]) -> None:
    """Not by its own policies and variables: they would name the function before it is there."""
    [statement] = resources["RunTaskDestinationPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert "RunTaskFunction" in str(statement["Resource"])
    assert resources["RunTaskEventInvokeConfig"]["DependsOn"] == "RunTaskDestinationPolicy"
