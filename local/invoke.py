"""`just invoke FUNCTION CASE`: one function in Lambda's container, with an event of events/, on the embedded stack."""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

from samtranslator.yaml_helper import yaml_parse

from local import fixtures
from local.__main__ import FACTS
from local.aws import make_secret
from local.forward import forward
from local.lambda_runtime import CREDENTIALS
from local.layers import ROOT
from local.openai_server import OpenAiServer
from local.stack import Stack
from local.template import REGION, FunctionResource, Template

BUILD = ROOT / ".aws-sam/build"
EVENTS = ROOT / "events"
FUNCTIONS = ROOT / "functions"


@dataclass(frozen=True)
class SamLocal:
    """What `sam local` must be started with.

    Attributes
    ----------
    template
        The built template, with every function's variables as containers need them.
    environment
        The whole environment of the SAM CLI itself.
    """

    template: Path
    environment: dict[str, str]

    def command(self, name: str, *arguments: str | Path) -> list[str | Path]:
        """Return the command line of a `sam local` command."""
        return ["sam", "local", name, *arguments, "--template", self.template, "--skip-pull-image"]


def list_functions(**parameters: str) -> list[FunctionResource]:
    """Return every function of the template."""
    given = {"MongoDbSecretArn": "", "Registration": "open", "BatchEnabled": "true", "MinimaticsExportImageTag": "any"}
    return Template(ROOT / "template.yaml", given | parameters).functions()


def folder_of(function: FunctionResource) -> Path:
    """Return a function's folder below functions/, which is the one below events/ too."""
    return function.folder.relative_to(FUNCTIONS)


@contextmanager
def find_backend() -> Iterator[fixtures.Backend]:
    """Yield the stack that `just dev` runs, or one started for as long as it takes."""
    facts = json.loads(FACTS.read_text()) if FACTS.exists() else None
    if facts and _listens(facts["url"]):
        yield SimpleNamespace(**facts)
    else:
        with Stack(scheduled=False) as stack:
            yield stack


@contextmanager
def prepare(backend: fixtures.Backend) -> Iterator[SamLocal]:
    """Yield what `sam local` needs for its containers to work on a stack.

    SAM's `--env-vars` passes only variables that the template declares, and `--docker-network host` leaves containers
    on Docker's bridge. So the variables go into a copy of the built template, and what listens on loopback is
    forwarded from the bridge's address.
    """
    built = BUILD / "template.yaml"
    if not built.exists():
        raise SystemExit("nothing is built: run `just build` first")
    host = _bridge_address() if sys.platform == "linux" else "host.docker.internal"
    with ExitStack() as entered:
        openai = entered.enter_context(OpenAiServer())
        local_urls = [url for url in (backend.mongodb_uri, backend.aws_endpoint_url, openai.url) if _is_local(url)]
        ports = [port for url in local_urls if (port := urlsplit(url).port)] if sys.platform == "linux" else []
        entered.enter_context(forward(host, ports))
        file = entered.enter_context(tempfile.NamedTemporaryFile("w", dir=BUILD, suffix=".json"))
        mongodb_uri = _seen_from_container(backend.mongodb_uri, host)
        parameters = {
            "MongoDbSecretArn": make_secret(backend.aws_endpoint_url, mongodb_uri),
            "CallbackSecretArn": make_secret(backend.aws_endpoint_url, "of the fixtures"),
            "OpenAiSecretArn": make_secret(backend.aws_endpoint_url, "any"),
            "OpenAiBaseUrl": _seen_from_container(openai.url, host),
        }
        document = yaml_parse(built.read_text())
        declared: set[str] = set()
        for function in list_functions(**parameters):
            variables = {
                **function.environment,
                "AWS_ENDPOINT_URL": _seen_from_container(backend.aws_endpoint_url, host),
                "BUCKET_NAME": backend.bucket_name,
                "POWERTOOLS_TRACE_DISABLED": "true",
            }
            document["Resources"][function.name]["Properties"]["Environment"] = {"Variables": variables}
            declared |= variables.keys()
        json.dump(document, file)
        file.flush()
        # The SAM CLI lets its own environment win over the template's, and asks STS for the account.
        environment = {name: value for name, value in os.environ.items() if name not in declared}
        environment |= CREDENTIALS
        environment |= {"AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL_STS": backend.aws_endpoint_url}
        yield SamLocal(Path(file.name), {**environment, "SAM_CLI_TELEMETRY": "0"})


def invoke(sam: SamLocal, function: FunctionResource, event: Path) -> str:
    """Return what a function answers to an event; its log goes to standard error."""
    command = sam.command("invoke", function.name, "--event", event)
    return subprocess.run(command, env=sam.environment, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Run one function on one event."""
    parser = argparse.ArgumentParser(prog="just invoke", description=__doc__)
    parser.add_argument("function", help="its folder, such as auth/create_api_key or create_api_key, or its logical id")
    parser.add_argument("case", help="an event of events/<its folder>/, such as success")
    arguments = parser.parse_args()
    function = _find_function(arguments.function)
    event = _find_event(function, arguments.case)
    with find_backend() as backend, prepare(backend) as sam:
        fixtures.seed(backend)
        print(invoke(sam, function, event))


def _find_function(name: str) -> FunctionResource:
    functions = list_functions()
    for function in functions:
        if name in (function.name, folder_of(function).as_posix(), folder_of(function).name):
            return function
    known = "\n  ".join(sorted(folder_of(function).as_posix() for function in functions))
    raise SystemExit(f"no function {name}; there are\n  {known}")


def _find_event(function: FunctionResource, case: str) -> Path:
    folder = EVENTS / folder_of(function)
    event = folder / f"{case}.json"
    if not event.exists():
        known = "\n  ".join(sorted(file.stem for file in folder.glob("*.json")))
        raise SystemExit(f"no case {case} of {folder_of(function)}; there are\n  {known}")
    return event


def _listens(url: str) -> bool:
    """Return whether something is there; a stack that was killed leaves its facts behind."""
    parts = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname, parts.port)) == 0


def _bridge_address() -> str:
    inspect = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}"]
    subnet = subprocess.run(inspect, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return str(ip_network(subnet)[1])


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in {"127.0.0.1", "localhost"}


def _seen_from_container(url: str, host: str) -> str:
    if not _is_local(url):
        return url
    moved = url.replace(f"{urlsplit(url).hostname}:", f"{host}:")
    # A replica set's members name themselves by their loopback address.
    return re.sub(r"\breplicaSet=[^&]+", "directConnection=true", moved)


if __name__ == "__main__":
    main()
