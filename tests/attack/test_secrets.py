"""Secrets are told to nobody but their owner, once: not in logs, errors, jobs, state machines or the API document."""

import json
import secrets
from pathlib import Path
from typing import Any

import pymongo

from local.stack import DATABASE, LOGS, Stack
from tests import tally
from tests.attack.test_bodies import bodies, leaves, operations, replaced, sent, store
from tests.leaks import stored_secrets

ROOT = Path(__file__).parents[2]


def told(planted: set[str], text: str) -> set[str]:
    """Return which secrets a text tells, plain or as JSON has them."""
    return {secret for secret in planted if secret in text or json.dumps(secret)[1:-1] in text}


def test_no_secret_is_told(stack: Stack, user: Any) -> None:
    marker = f"planted-{secrets.token_hex(12)}"
    planted = {marker, user.password, user.api_key, user.api_key.rpartition("_")[2], *stored_secrets(stack)}
    planted.add(user.http.get("/compute-tasks/callback-secret").raise_for_status().json()["secret"])
    answers = []

    def send(method: str, path: str, body: Any) -> None:
        answer = sent(user.http, method, path, body)
        tally.counts[tally.TRIED] += 1
        # A key just made is for its owner, and so is the callbacks' secret.
        if answer.status_code >= 400:
            answers.append(f"{method} {path}: {answer.text}")

    # Where secrets belong, where they are misspelt, and where they have the wrong type.
    for path in ("/auth/login", "/auth/register"):
        for body in (
            {"email": user.email, "password": marker},
            {"email": user.email, "passwort": marker, "password": 1},
            {"email": marker, "password": user.password},
            {"email": user.email, "password": [marker]},
            {"email": user.email, "password": {"$ne": marker}, "invite": marker},
            {"email": user.email, "password": marker * 200},
            [marker],
        ):
            send("POST", path, body)
        send("POST", path, f'{{"password": "{marker}')
    # A key in every string of every route, and as its ids.
    for method, path, _, body in bodies():
        for at, value in list(leaves(body))[:6]:
            if isinstance(value, str) and "login" not in path and "register" not in path and at != ("name",):
                send(method, path, replaced(body, at, {"api_key": user.api_key}))
    for method, path, operation in operations():
        if "{" in path and operation["operationId"] != "delete_user":
            send(method, path.replace("{", "").replace("}", ""), {})
    # Jobs, as they are kept and as state machines are told of them.
    key = store(user.http)
    photo = {"image_key": key, "adjustments": {"exposure": 1}, "use_cache": False, "use_container": True}
    for more in ({}, {"target": "BATCH"}):
        user.http.post("/tone-mapping/adjust", json={**photo, **more, "wait_for_result": True})
    bulk = {"image_keys": [key], "task_type": "auto_correct", "parameters": {}}
    user.http.post("/tone-mapping/bulk", json=bulk).raise_for_status()

    places = {f"the answer to {answer.partition(':')[0]}": answer for answer in answers}
    places |= {path.name: path.read_text(errors="replace") for path in LOGS.glob("*.log")}
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        database = client[DATABASE]
        names = database.list_collection_names()
        places |= {f"the collection {name}": str(list(database[name].find())) for name in names}
    steps = stack.client("stepfunctions")
    inputs = []
    for machine in steps.list_state_machines()["stateMachines"]:
        for execution in steps.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]:
            described = steps.describe_execution(executionArn=execution["executionArn"])
            inputs.append(described["input"] + described.get("output", ""))
    places["the state machines' input and output"] = "\n".join(inputs)
    places["the API document"] = (ROOT / "functions/web/serve_pages/openapi.json").read_text()

    assert inputs, "no state machine ran"
    found = {place: secrets_told for place, text in places.items() if (secrets_told := told(planted, text))}
    tally.counts[tally.TOLD] += len(found)
    assert not found, {place: len(secrets_told) for place, secrets_told in found.items()}
