"""The stack starts and stops as a whole, however it ends, and keeps its data when told to."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.stack import Stack
from tests.waiting import SECONDS, until

ROOT = Path(__file__).parents[3]
FIXTURE = Path(__file__).parent / "fixture" / "template.yaml"

RUN_FIXTURE = f"""
import json, sys, time
from pathlib import Path
from local.stack import Stack
with Stack(template=Path({str(FIXTURE)!r})) as stack:
    stack.functions["EchoFunction"].invoke(b"{{}}")
    print(json.dumps(stack.pids), flush=True)
    time.sleep(600)
"""


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    # Whoever is killed leaves a temporary folder behind: let it lie where pytest clears away.
    environment = {**os.environ, "TMPDIR": str(folder)}
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def pids_of(pids: dict[str, Any]) -> list[int]:
    workers = [pid for function in pids["workers"].values() for pid in function]
    assert workers
    return [pids["mongod"], *workers]


def test_nothing_is_left_when_the_stack_is_killed(tmp_path: Path) -> None:
    process = start(tmp_path, "-c", RUN_FIXTURE)
    assert process.stdout
    children = pids_of(json.loads(process.stdout.readline()))
    assert all(map(runs, children))
    process.kill()
    process.wait()
    until(lambda: not any(map(runs, children)))


class Dev:
    """A `python -m local dev` of the test's own."""

    def __init__(self, folder: Path) -> None:
        facts = folder / "facts.json"
        arguments = ["--port", "0", "--data", str(folder / "data"), "--facts", str(facts)]
        self.process = start(folder, "-m", "local", "dev", *arguments)
        self.facts_file = facts
        until(lambda: facts.exists() or self.process.poll() is not None, seconds=120)  # it imports moto, and all else
        self.facts: dict[str, Any] = json.loads(facts.read_text())

    def stop(self, number: signal.Signals) -> str:
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=SECONDS)
        return output


@pytest.fixture
def start_dev(tmp_path: Path) -> Iterator[Callable[[], Dev]]:
    started: list[Dev] = []

    def begin() -> Dev:
        started.append(Dev(tmp_path))
        return started[-1]

    yield begin
    for dev in started:
        dev.process.kill()
        dev.process.wait()


def test_dev_stops_cleanly_and_keeps_its_data(start_dev: Callable[[], Dev]) -> None:
    dev = start_dev()
    facts = dev.facts
    assert set(facts) == {"url", "api_key", "mongodb_uri", "aws_endpoint_url", "bucket_name", "pids"}
    headers = {"X-API-KEY": facts["api_key"]}
    assert httpx.get(f"{facts['url']}/uploads", headers=headers).status_code == 200
    children = pids_of(facts["pids"])

    output = dev.stop(signal.SIGTERM)
    assert dev.process.returncode == 0
    assert facts["url"] in output
    assert facts["api_key"] in output
    assert not any(map(runs, children))
    assert not dev.facts_file.exists()

    again = start_dev()
    # The key of the first run is in the kept database.
    assert httpx.get(f"{again.facts['url']}/uploads", headers=headers).status_code == 200
    again.stop(signal.SIGINT)
    assert again.process.returncode == 0


def test_objects_are_kept_with_what_is_known_of_them(tmp_path: Path) -> None:
    keys = ["plain", "users/é 1/../odd+key", "k" * 1000]
    with Stack(data=tmp_path, template=FIXTURE) as stack:
        s3 = stack.client("s3")
        for key in keys:
            s3.put_object(
                Bucket=stack.bucket_name,
                Key=key,
                Body=key.encode(),
                ContentType="image/png",
                ContentDisposition="attachment",
                Metadata={"width": "3"},
                Tagging="kind=result&odd=a%2Fb",
            )
        s3.put_object(Bucket=stack.bucket_name, Key="gone", Body=b"")
        s3.delete_object(Bucket=stack.bucket_name, Key="gone")
    for _ in range(2):
        with Stack(data=tmp_path, template=FIXTURE) as stack:
            s3 = stack.client("s3")
            listed = s3.list_objects_v2(Bucket=stack.bucket_name)["Contents"]
            assert sorted(entry["Key"] for entry in listed) == sorted(keys)
            for key in keys:
                stored = s3.get_object(Bucket=stack.bucket_name, Key=key)
                assert stored["Body"].read() == key.encode()
                assert stored["ContentType"] == "image/png"
                assert stored["ContentDisposition"] == "attachment"
                assert stored["Metadata"] == {"width": "3"}
                tags = s3.get_object_tagging(Bucket=stack.bucket_name, Key=key)["TagSet"]
                assert {tag["Key"]: tag["Value"] for tag in tags} == {"kind": "result", "odd": "a/b"}


def test_without_a_data_folder_nothing_is_kept(tmp_path: Path) -> None:
    for _ in range(2):
        with Stack(template=FIXTURE) as stack:
            s3 = stack.client("s3")
            assert s3.list_objects_v2(Bucket=stack.bucket_name)["KeyCount"] == 0
            s3.put_object(Bucket=stack.bucket_name, Key="a", Body=b"1")


def test_a_start_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {Bucket: {Type: AWS::S3::Bucket, Properties: {Value: !Cidr [a, 1]}}}")
    stack = Stack(template=template)
    with pytest.raises(NotImplementedError), stack:
        pass
    assert not runs(stack.pids["mongod"])


def test_the_port_is_the_one_asked_for(fixture_stack: Stack) -> None:
    port = int(fixture_stack.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"), Stack(template=FIXTURE, port=port):
        pass
    assert os.getpid() == fixture_stack.pids["stack"]
