"""One stack, one `sam local start-lambda` with warm containers, for all functions."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from local.fixtures import seed
from local.invoke import SamLocal, prepare
from local.processes import free_port
from local.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

START_SECONDS = 240
STOP_SECONDS = 240


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    # The clean-up, on time, would take the fixtures from the event that tests it; short films have several segments.
    with Stack(parameters={"ExportSegmentSeconds": "0.7"}, scheduled=False) as running:
        yield running


@pytest.fixture
def seeded(stack: Stack) -> None:
    seed(stack)


@pytest.fixture(scope="session")
def sam(stack: Stack) -> Iterator[SamLocal]:
    with prepare(stack) as prepared:
        yield prepared


@pytest.fixture(scope="session")
def lambda_client(sam: SamLocal, tmp_path_factory: pytest.TempPathFactory) -> Iterator["LambdaClient"]:
    port = free_port()
    log = tmp_path_factory.mktemp("sam") / "start-lambda.log"
    command = sam.command("start-lambda", "--warm-containers", "LAZY", "--port", str(port))
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=sam.environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for_port(process, port, log)
        # SAM builds the image of a function's layers when it is first called.
        config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, read_timeout=600)
        yield boto3.client("lambda", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", config=config)
    finally:
        # On SIGINT it removes its containers.
        process.send_signal(signal.SIGINT)
        process.wait(timeout=STOP_SECONDS)


def wait_for_port(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == os.EX_OK:
                return
        time.sleep(0.1)
    raise RuntimeError(f"sam local start-lambda did not start:\n{log.read_text()}")
