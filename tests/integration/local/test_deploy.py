"""`just deploy`, on moto's CloudFormation, ECR, CodeBuild and S3; the SAM CLI, whose transform it lacks, is played."""

import json
import subprocess
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from samcli.cli.types import CfnParameterOverridesType

from local import deploy
from local.aws import AwsServer
from local.events import EventInvoker
from local.images import Image
from local.lambda_runtime import CREDENTIALS
from local.layers import ROOT
from local.template import REGION

IMAGE = Image(Path("statemachines/run_task/container"))
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mongodb"
TEMPLATE = """
Parameters:
  Stage: {Type: String}
  BatchEnabled: {Type: String, Default: "false"}
  RunTaskImageTag: {Type: String, Default: ""}
  MongoDbSecretArn: {Type: String}
  MongoDbDatabase: {Type: String, Default: studio}
Conditions:
  HasBatch: !Equals [!Ref BatchEnabled, "true"]
Resources:
  MediaBucket:
    Type: AWS::S3::Bucket
  Repository:
    Type: AWS::ECR::Repository
    Condition: HasBatch
    Properties: {RepositoryName: NAME/run-task}
Outputs:
  MediaBucketName: {Value: !Ref MediaBucket}
  RunTaskRepositoryUri: {Condition: HasBatch, Value: !GetAtt Repository.RepositoryUri}
  ImageProjectName: {Condition: HasBatch, Value: NAME-images}
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with AwsServer({}, EventInvoker({}, threading.Event())) as server:
        yield server.endpoint_url


class Account:
    """An account of AWS, and the programs that a deployment runs in it."""

    def __init__(self) -> None:
        self.name = f"studio-{uuid.uuid4().hex[:8]}"
        self.parameters: dict[str, str] = {}
        # What was run, and how many images had been built by then.
        self.runs: list[tuple[str, int]] = []
        self.overrides: list[dict[str, str]] = []
        self.failing = ""
        self.declines = False
        self.indexed: Mapping[str, str] = {}
        boto3.client("codebuild").create_project(
            name=f"{self.name}-images",
            source={"type": "S3", "location": "bucket/none.zip"},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
            serviceRole="arn:aws:iam::123456789012:role/images",
        )

    def deployment(self, **parameters: str) -> deploy.Deployment:
        read = deploy.read("dev", {"MongoDbSecretArn": SECRET, **parameters}, self.run)
        return replace(read, stack_name=self.name, images=[IMAGE])

    def deploy(self, **parameters: str) -> None:
        deploy.deploy(self.deployment(**parameters), dry_run=False)

    @property
    def builds(self) -> list[str]:
        return boto3.client("codebuild").list_builds_for_project(projectName=f"{self.name}-images")["ids"]

    def run(self, command: list[str], variables: Mapping[str, str]) -> None:
        what = " ".join(command[:2]) if command[0] == "sam" else " ".join(command[1:])
        self.runs.append((what, len(self.builds)))
        if what == self.failing:
            raise subprocess.CalledProcessError(7, command)
        if what == "sam deploy" and not self.declines:
            self.update_stack(command)
        if what == "-m studio.indexes":
            self.indexed = variables

    def update_stack(self, command: list[str]) -> None:
        """Do what the SAM CLI does: what it is not given stays as it is."""
        assert command[:5] == ["sam", "deploy", "--config-env", "dev", "--parameter-overrides"]
        given = CfnParameterOverridesType().convert(command[5:], None, None)
        self.overrides.append(given)
        self.parameters |= {name: value for name, value in given.items() if f"  {name}: " in TEMPLATE}
        client = boto3.client("cloudformation")
        change = client.update_stack if deploy.look(self.name).parameters else client.create_stack
        change(
            StackName=self.name,
            TemplateBody=TEMPLATE.replace("NAME", self.name),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in self.parameters.items()],
        )

    def push(self, tag: str) -> None:
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {"digest": f"sha256:{uuid.uuid4().hex}"},
            "layers": [],
        }
        boto3.client("ecr").put_image(
            repositoryName=f"{self.name}/run-task", imageTag=tag, imageManifest=json.dumps(manifest)
        )


@pytest.fixture
def account(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(deploy, "POLL_SECONDS", 0.01)
    return Account()


BATCH = {"BatchEnabled": "true", "BatchSubnetIds": "subnet-1,subnet-2"}


def test_the_first_deployment_builds_the_image_before_it_names_it(account: Account) -> None:
    account.deploy(**BATCH)
    assert account.runs == [("sam build", 0), ("sam deploy", 0), ("sam deploy", 1), ("-m studio.indexes", 1)]
    first, last = account.overrides
    assert first == {
        "Stage": "dev",
        "Registration": "open",
        "MongoDbSecretArn": SECRET,
        **BATCH,
        "RunTaskImageTag": "",
    }
    assert last == first | {"RunTaskImageTag": IMAGE.tag}
    assert account.indexed == {"MONGODB_SECRET_ARN": SECRET, "MONGODB_DATABASE": "studio", "MONGODB_URI": ""}


def test_what_the_image_is_made_of_is_uploaded(account: Account) -> None:
    account.deploy(**BATCH)
    bucket = deploy.look(account.name).outputs["MediaBucketName"]
    key = f"container-sources/run_task-{IMAGE.tag}.zip"
    content = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with zipfile.ZipFile(BytesIO(content)) as archive:
        assert archive.namelist() == [path.as_posix() for path in IMAGE.files]


def test_the_next_deployment_deploys_once(account: Account) -> None:
    account.deploy(**BATCH)
    account.push("an-older-one")
    account.runs.clear()
    account.deploy(**BATCH)
    assert account.runs == [("sam build", 1), ("sam deploy", 2), ("-m studio.indexes", 2)]


def test_an_image_that_is_there_is_not_built_again(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    account.deploy(**BATCH)
    account.push(IMAGE.tag)
    account.deploy(**BATCH)
    assert len(account.builds) == 1
    assert account.overrides[-1]["RunTaskImageTag"] == IMAGE.tag
    assert "it is there" in capsys.readouterr().out


def test_without_batch_no_image_is_built(account: Account) -> None:
    account.deploy()
    assert account.runs == [("sam build", 0), ("sam deploy", 0), ("-m studio.indexes", 0)]
    assert "RunTaskImageTag" not in account.overrides[0]


def test_batch_that_comes_back_starts_without_the_tag_of_its_lost_image(account: Account) -> None:
    account.deploy(**BATCH)
    account.deploy(BatchEnabled="false")
    account.deploy(**BATCH)
    assert [item.get("RunTaskImageTag") for item in account.overrides] == ["", IMAGE.tag, None, "", IMAGE.tag]


@pytest.mark.parametrize(
    ("failing", "ran"),
    [
        ("sam build", ["sam build"]),
        ("sam deploy", ["sam build", "sam deploy"]),
        ("-m studio.indexes", ["sam build", "sam deploy", "sam deploy", "-m studio.indexes"]),
    ],
)
def test_nothing_runs_after_a_failure(account: Account, failing: str, ran: list[str]) -> None:
    account.failing = failing
    with pytest.raises(deploy.DeploymentError) as error:
        account.deploy(**BATCH)
    assert [what for what, _ in account.runs] == ran
    told = f"MONGODB_SECRET_ARN={SECRET} MONGODB_DATABASE=studio" if "indexes" in failing else "sam has ended with 7"
    assert told in str(error.value)


def test_a_failed_build_is_not_named(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    let_builds_be(monkeypatch, {"buildStatus": "FAILED"})
    with pytest.raises(
        deploy.DeploymentError, match=r"the build of run_task has ended as FAILED: no space left\nhttps"
    ):
        account.deploy(**BATCH)
    assert account.runs == [("sam build", 0), ("sam deploy", 0)]
    assert account.parameters["RunTaskImageTag"] == ""


def test_it_tells_what_the_build_does(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running = {"buildStatus": "IN_PROGRESS"}
    let_builds_be(
        monkeypatch, running | {"currentPhase": "PROVISIONING"}, running | {"currentPhase": "BUILD"}, running, {}
    )
    account.deploy(**BATCH)
    told = [line.partition(" s  ")[2] for line in capsys.readouterr().out.splitlines() if " s  " in line]
    assert told == ["provisioning", "build", "completed"]


def test_an_interrupt_stops_the_build(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    let_builds_be(monkeypatch, {"buildStatus": "IN_PROGRESS"})
    stopped: list[str] = []
    monkeypatch.setattr("moto.codebuild.models.CodeBuildBackend.stop_build", lambda _, name: stopped.append(name))

    sleep = time.sleep

    def interrupt(seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():  # others have stacks to run
            raise KeyboardInterrupt
        sleep(seconds)

    monkeypatch.setattr("time.sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        account.deploy(**BATCH)
    assert stopped == account.builds


def let_builds_be(monkeypatch: pytest.MonkeyPatch, *states: dict[str, str]) -> None:
    """Have moto, whose builds all succeed at once, tell of other ones; the last state stays."""
    from moto.codebuild.models import CodeBuildBackend

    whole = CodeBuildBackend.batch_get_builds
    left = list(states)

    def get(backend: Any, ids: list[str]) -> list[dict[str, Any]]:
        state = left.pop(0) if len(left) > 1 else left[0]
        [build] = whole(backend, ids)
        failed = {"phaseType": "BUILD", "contexts": [{"statusCode": "COMMAND", "message": "no space left"}]}
        return [build | {"phases": [failed]} | state]

    monkeypatch.setattr(CodeBuildBackend, "batch_get_builds", get)


@pytest.mark.parametrize("parameters", [{}, BATCH])
def test_a_first_change_set_that_is_declined_ends_it(account: Account, parameters: dict[str, str]) -> None:
    account.declines = True
    with pytest.raises(deploy.DeploymentError, match="declined"):
        account.deploy(**parameters)
    assert account.runs == [("sam build", 0), ("sam deploy", 0)]


def test_it_tells_its_region_first(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    deploy.deploy(account.deployment(), dry_run=True)
    assert capsys.readouterr().out.startswith(f"1/4 look at the stack {account.name} in us-east-1\n")


@pytest.mark.parametrize("name", ["MongoDbSecretArn", "CallbackSecretArn", "SecretsKmsKeyArn"])
def test_a_secret_of_another_region_is_refused(account: Account, name: str) -> None:
    elsewhere = SECRET.replace("us-east-1", "eu-west-1")
    with pytest.raises(deploy.DeploymentError, match=rf"{name} is of eu-west-1, .* in us-east-1"):
        account.deploy(**{name: elsewhere})
    assert account.runs == []


def test_the_region_is_the_profiles_where_the_environment_has_none(
    account: Account, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert "export AWS_DEFAULT_REGION" not in (ROOT / "justfile").read_text(), "it would win over the profile"
    (tmp_path / "config").write_text("[default]\nregion = eu-central-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(deploy.DeploymentError, match=r"MongoDbSecretArn is of us-east-1, .* in eu-central-1"):
        account.deploy()
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(deploy.DeploymentError, match="no region is configured"):
        account.deploy()


def test_batch_is_not_forgotten(account: Account) -> None:
    account.deploy(**BATCH)
    account.runs.clear()
    with pytest.raises(deploy.DeploymentError, match="BatchEnabled=true"):
        account.deploy()
    assert account.runs == []


def test_a_refusal_of_the_account_is_told(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> Any:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not for you"}}, "DescribeStacks")

    monkeypatch.setattr(deploy, "look", refuse)
    with pytest.raises(deploy.DeploymentError, match="not for you"):
        account.deploy()
    assert account.runs == []


@pytest.mark.parametrize("parameters", [{}, BATCH])
def test_a_dry_run_prints_what_a_run_does(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], parameters: dict[str, str]
) -> None:
    account.deploy(**parameters)
    done = [line for line in capsys.readouterr().out.splitlines() if "/" in line.partition(" ")[0]]
    account.runs.clear()
    for name in ("AWS_ENDPOINT_URL", *CREDENTIALS):
        monkeypatch.delenv(name)
    monkeypatch.setattr(boto3, "client", None)
    deploy.deploy(account.deployment(**parameters), dry_run=True)
    assert capsys.readouterr().out.splitlines() == done
    assert account.runs == []


@pytest.mark.parametrize("value", ["", "a,b", "with a space", 'a"b'])
def test_values_reach_sam_as_they_are(account: Account, value: str) -> None:
    account.deploy(CorsAllowOrigins=value)
    assert account.overrides[0]["CorsAllowOrigins"] == value


def test_a_parameter_that_is_not_there_is_refused() -> None:
    with pytest.raises(deploy.DeploymentError, match=r"no parameter BatchEnable$"):
        deploy.read("dev", {"BatchEnable": "true"})


@pytest.mark.parametrize("arguments", [["staging"], ["dev", "BatchEnabled"]])
def test_what_cannot_be_read_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["deploy", *arguments])
    with pytest.raises(SystemExit) as ended:
        deploy.main()
    assert ended.value.code == 2
    assert arguments[-1] in capsys.readouterr().err
