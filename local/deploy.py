"""`just deploy ENV`: build, images, stack, indexes. `--dry-run` prints the steps, and needs no credentials.

Jobs run in images, whose repositories and whose builder are in the same stack. So a deployment builds an image before
it names it, and the first one deploys twice: without the images' tags, which leaves out only what runs in them, and,
once they are built, with them.
"""

import argparse
import os
import shlex
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from samtranslator.yaml_helper import yaml_parse

from local.images import Image, list_images
from local.layers import ROOT

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_codebuild import CodeBuildClient
    from mypy_boto3_codebuild.type_defs import BuildTypeDef
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client

SOURCES = "container-sources"  # in the media bucket
POLL_SECONDS = 5
REPORT_SECONDS = 30

Run = Callable[[list[str], Mapping[str, str]], None]
Step = tuple[str, Callable[[], None]]  # what a dry run prints of it, and what does it


class DeploymentError(Exception):
    """A step failed; the message says what there is to be done."""


@dataclass(frozen=True)
class Deployed:
    """The stack as it is in the account; without outputs and parameters where it is not."""

    outputs: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Deployment:
    """A deployment of one environment.

    Parameters
    ----------
    environment
        Of samconfig.toml.
    stack_name
        Of the same.
    parameters
        For the template: those of samconfig.toml, and on top of them the command's. What neither names stays as it is
        in a stack that exists.
    images
        What jobs run in.
    run
        Runs a program with variables added to the environment; raises where it fails.
    """

    environment: str
    stack_name: str
    parameters: dict[str, str]
    images: list[Image]
    run: Run

    def steps(self) -> list[Step]:
        """Return what is to be done, in order."""
        images = self.images if self.parameters.get("BatchEnabled") == "true" else []
        first = self._deploy_command({image.tag_parameter: "" for image in images})
        last = self._deploy_command({image.tag_parameter: image.tag for image in images})
        found: list[Step] = [
            (f"look at the stack {self.stack_name} in {find_region() or 'no region yet'}", self._check),
            ("sam build", lambda: self.run(["sam", "build"], {})),
        ]
        if images:
            found.append((f"where an image has no repository yet: {shlex.join(first)}", self._make_repositories))
        for image in images:
            found.append((f"build {image.name}:{image.tag}, if it is not there", partial(self._build, image)))
        found.append((shlex.join(last), lambda: self.run(last, {})))
        found.append(("create the indexes of its database: python -m studio.indexes", self._create_indexes))
        return found

    def _deploy_command(self, tags: dict[str, str]) -> list[str]:
        overrides = [f"{name}={_quoted(value)}" for name, value in (self.parameters | tags).items()]
        return ["sam", "deploy", "--config-env", self.environment, "--parameter-overrides", *overrides]

    def _check(self) -> None:
        """Refuse what would be done by mistake."""
        region = find_region()
        if region is None:
            raise DeploymentError("no region is configured: set AWS_DEFAULT_REGION, or one in the profile")
        for name, value in self.parameters.items():
            # arn:aws:secretsmanager:<region>:…, which functions ask in their own region for.
            if value.startswith("arn:") and (theirs := value.split(":")[3]) not in ("", region):
                raise DeploymentError(f"{name} is of {theirs}, and the deployment would be in {region}")
        # An update that says nothing of Batch would leave its images behind.
        if look(self.stack_name).parameters.get("BatchEnabled") == "true" and "BatchEnabled" not in self.parameters:
            raise DeploymentError(
                f"{self.stack_name} has BatchEnabled=true, of which neither samconfig.toml nor the command says "
                "anything: add it, or BatchEnabled=false"
            )

    def _make_repositories(self) -> None:
        outputs = look(self.stack_name).outputs
        missing = [image for image in self.images if image.repository_output not in outputs]
        if missing:
            self.run(self._deploy_command({image.tag_parameter: "" for image in missing}), {})
            if any(image.repository_output not in look(self.stack_name).outputs for image in missing):
                raise DeploymentError("the stack still has no repositories: was its change set declined?")

    def _build(self, image: Image) -> None:
        """Build an image in the account, and wait for it."""
        outputs = look(self.stack_name).outputs
        uri = outputs[image.repository_output]
        if _has_image(uri, image.tag):
            print("it is there", flush=True)
            return
        key = f"{SOURCES}/{image.name}-{image.tag}.zip"
        s3: S3Client = boto3.client("s3")
        s3.put_object(Bucket=outputs["MediaBucketName"], Key=key, Body=image.archive())
        codebuild: CodeBuildClient = boto3.client("codebuild")
        build = codebuild.start_build(
            projectName=outputs["ImageProjectName"],
            sourceLocationOverride=f"{outputs['MediaBucketName']}/{key}",
            environmentVariablesOverride=[
                {"name": name, "value": value} for name, value in build_variables(image, uri).items()
            ],
        )["build"]
        try:
            ended = _wait(codebuild, build["id"])
        except KeyboardInterrupt:
            codebuild.stop_build(id=build["id"])
            raise
        if ended["buildStatus"] != "SUCCEEDED":
            raise DeploymentError(f"the build of {image.name} has ended as {ended['buildStatus']}: {_reasons(ended)}")

    def _create_indexes(self) -> None:
        parameters = look(self.stack_name).parameters
        if not parameters:
            raise DeploymentError(f"there is no stack {self.stack_name}: was its change set declined?")
        # A server that the shell names is another one, such as that of the tests.
        names = {
            "MONGODB_SECRET_ARN": parameters["MongoDbSecretArn"],
            "MONGODB_DATABASE": parameters["MongoDbDatabase"],
        }
        try:
            self.run([sys.executable, "-m", "studio.indexes"], names | {"MONGODB_URI": ""})
        except subprocess.CalledProcessError as error:
            again = " ".join(f"{name}={value}" for name, value in names.items())
            raise DeploymentError(
                f"all is deployed but the indexes. Once MongoDB can be reached from here: {again} just indexes"
            ) from error


def find_region() -> str | None:
    """Return the region that is deployed to: the environment's or the profile's, as the SAM CLI takes it."""
    return boto3.Session().region_name


def look(stack_name: str) -> Deployed:
    """Return a stack as it is in the account.

    Parameters
    ----------
    stack_name
        Of one that need not exist.
    """
    client: CloudFormationClient = boto3.client("cloudformation")
    try:
        [stack] = client.describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return Deployed()
        raise
    return Deployed(
        {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])},
        {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", [])},
    )


def build_variables(image: Image, repository_uri: str) -> dict[str, str]:
    """Return what the buildspec of the template's project reads.

    Parameters
    ----------
    image
        What is built.
    repository_uri
        Where it is pushed to.
    """
    return {"IMAGE": f"{repository_uri}:{image.tag}", "DOCKERFILE": image.dockerfile.as_posix()}


def _has_image(uri: str, tag: str) -> bool:
    client: ECRClient = boto3.client("ecr")
    try:
        client.describe_images(repositoryName=uri.partition("/")[2], imageIds=[{"imageTag": tag}])
    except client.exceptions.ImageNotFoundException:
        return False
    return True


def _wait(codebuild: "CodeBuildClient", build_id: str) -> "BuildTypeDef":
    """Return a build when it has ended; tell meanwhile which phase it is in."""
    started = reported = time.monotonic()
    phase = ""
    while True:
        [build] = codebuild.batch_get_builds(ids=[build_id])["builds"]
        now = time.monotonic()
        if build["currentPhase"] != phase or now - reported >= REPORT_SECONDS:
            phase, reported = build["currentPhase"], now
            print(f"{now - started:5.0f} s  {phase.lower()}", flush=True)
        if build["buildStatus"] != "IN_PROGRESS":
            return build
        time.sleep(POLL_SECONDS)


def _reasons(build: "BuildTypeDef") -> str:
    messages = [context.get("message", "") for phase in build["phases"] for context in phase.get("contexts", [])]
    return "\n".join([*filter(None, messages), build["logs"].get("deepLink", "")])


def _quoted(value: str) -> str:
    """Return a parameter's value as `--parameter-overrides` takes it."""
    plain = value and not {" ", '"'} & set(value)
    return value if plain else '"' + value.replace('"', r"\"") + '"'


def _run(command: list[str], variables: Mapping[str, str]) -> None:
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, **variables})


def read(environment: str, given: dict[str, str], run: Run = _run) -> Deployment:
    """Return the deployment of an environment of samconfig.toml.

    Parameters
    ----------
    environment
        `dev` or `prod`.
    given
        Parameters that win over samconfig.toml's.
    run
        As `Deployment` takes it.

    Raises
    ------
    DeploymentError
        If the template has no such parameter.
    """
    configured = _configurations()[environment]
    overrides = dict(pair.split("=", 1) for pair in shlex.split(configured.get("parameter_overrides", "")))
    if unknown := (overrides | given).keys() - _declared_parameters():
        raise DeploymentError(f"template.yaml has no parameter {', '.join(sorted(unknown))}")
    return Deployment(environment, configured["stack_name"], overrides | given, list_images(), run)


def deploy(deployment: Deployment, *, dry_run: bool) -> None:
    """Print every step and, unless it is a dry run, do it; the first one that fails is the last.

    Raises
    ------
    DeploymentError
        If a step fails.
    """
    try:
        steps = deployment.steps()
        for number, (title, run) in enumerate(steps, 1):
            print(f"{number}/{len(steps)} {title}", flush=True)
            if not dry_run:
                run()
    except (BotoCoreError, ClientError) as error:
        raise DeploymentError(str(error)) from error
    except subprocess.CalledProcessError as error:
        raise DeploymentError(f"{error.cmd[0]} has ended with {error.returncode}") from error


@cache
def _declared_parameters() -> set[str]:
    return set(yaml_parse((ROOT / "template.yaml").read_text())["Parameters"])


def _configurations() -> dict[str, dict[str, str]]:
    found = tomllib.loads((ROOT / "samconfig.toml").read_text())
    return {name: own["deploy"]["parameters"] for name, own in found.items() if name != "version" and "deploy" in own}


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text} is not KEY=VALUE")
    return name, value


def main() -> None:
    """Deploy as the command line says."""
    parser = argparse.ArgumentParser(prog="just deploy", description=__doc__.partition("\n")[0])
    parser.add_argument("environment", choices=_configurations(), help="of samconfig.toml")
    parser.add_argument("parameters", nargs="*", type=_pair, metavar="KEY=VALUE", help="of template.yaml")
    parser.add_argument("--dry-run", action="store_true", help="print the steps only")
    arguments = parser.parse_intermixed_args()
    try:
        deploy(read(arguments.environment, dict(arguments.parameters)), dry_run=arguments.dry_run)
    except DeploymentError as error:
        raise SystemExit(f"stopped: {error}") from error


if __name__ == "__main__":
    main()
