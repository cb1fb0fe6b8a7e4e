"""Clients of AWS: whatever does not answer, a function of the API is there to say so."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from studio import settings, storage
from studio.compute_tasks import callbacks, dispatch
from studio.mongo import MongoSettings
from studio.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    makers: list[Any] = [settings._secrets, storage._client, callbacks.get_queue, dispatch._steps, dispatch._client]

    def forget() -> None:
        Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]
        for maker in makers:
            maker.cache_clear()

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("BUCKET_NAME", "unused")
    forget()
    yield {
        "secretsmanager": settings._secrets().client,
        "s3": storage._client(),
        "sqs": callbacks.get_queue(),
        "stepfunctions": dispatch._steps(),
        "lambda": dispatch._client(5),
    }
    forget()


def test_there_are_no_others(clients: dict[str, Any]) -> None:
    sources = [path.read_text() for path in (ROOT / "layers").rglob("*.py")]
    made = [name for text in sources for name in re.findall(r'boto3\.client\(\s*"(\w+)"|(SecretsProvider)\(', text)]
    assert sorted("".join(name).replace("SecretsProvider", "secretsmanager") for name in made) == sorted(clients)


def test_one_that_gets_no_answer_leaves_time_for_ours(clients: dict[str, Any]) -> None:
    """And for MongoDB, which may be away as well."""
    timeout = yaml_parse((ROOT / "template.yaml").read_text())["Globals"]["Function"]["Timeout"]
    mongodb = MongoSettings.model_fields["mongodb_timeout_ms"].default / 1000
    for name, client in clients.items():
        config = client.meta.config
        attempts = config.retries["total_max_attempts"]
        pauses = sum(2**number for number in range(attempts - 1))  # at most: they are drawn
        longest = attempts * (config.connect_timeout + config.read_timeout) + pauses
        assert longest + mongodb <= timeout, name
