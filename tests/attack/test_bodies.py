"""Hostile requests at every route of the API document: none is a 5xx, none reaches what is another user's."""

import json
import random
import secrets
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import pytest

from local.stack import Stack
from tests import tally
from tests.attack import corpus
from tests.attack.conftest import IS_FULL, is_refusal

ROOT = Path(__file__).parents[2]
DOCUMENT = json.loads((ROOT / "functions/web/serve_pages/openapi.json").read_text())
SHARE = 1 if IS_FULL else 15  # one of so many is tried
SEED = 7
Attack = TypeVar("Attack")

OPERATORS: list[Any] = [{"$gt": ""}, {"$ne": None}, {"$where": "sleep(9000)"}, [{"$regex": ".*"}], {"$in": [""]}]
STRINGS = [
    "\0",
    "\ud800",
    "$where",
    "' OR 1=1 --",
    "../../etc/passwd",
    "\u202e\ufeff",
    "x" * 100_000,
    "{{7*7}}",
    "${HOME}",
]
# In a path; httpx sends them as they are.
SEGMENTS = [
    *('{"$gt":""}', "%00", "%2e%2e%2fauth", "..%2f..%2fhealth", "$where", "%ff%fe", "%ed%a0%80", "x" * 5000, "%22"),
    *("%7B%22%24ne%22%3Anull%7D", "usr_%D0%B0", "[object%20Object]", "-1", "%0d%0aset-cookie:x"),
]


def some(attacks: Sequence[Attack], share: int = SHARE) -> list[Attack]:
    """Return all attacks in a full run; else a share, drawn so that none is left out by its place."""
    return random.Random(SEED).sample(attacks, max(len(attacks) // share, 1))


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method.upper(), path, operation)
        for path, found in DOCUMENT["paths"].items()
        for method, operation in found.items()
    ]


def good_body(operation: dict[str, Any]) -> Any:
    """Return the body of the function's own event fixture; None where it has none."""
    [event] = ROOT.glob(f"events/*/{operation['operationId']}/success.json")
    return json.loads(json.loads(event.read_text()).get("body") or "null")


def leaves(body: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the path and the value of everything in a body that is no container."""
    if isinstance(body, dict | list):
        for key in body if isinstance(body, dict) else range(len(body)):
            yield from leaves(body[key], (*at, key))
    else:
        yield at, body


def replaced(body: Any, at: tuple[Any, ...], value: Any) -> Any:
    changed = deepcopy(body)
    container = changed
    for key in at[:-1]:
        container = container[key]
    container[at[-1]] = value
    return changed


def sent(http: httpx.Client, method: str, path: str, body: Any) -> httpx.Response:
    """Send JSON as text, since httpx refuses lone surrogates."""
    url = path.replace("{", "").replace("}", "")
    text = body if isinstance(body, str) else json.dumps(body)
    return http.request(method, url, content=text, headers={"content-type": "application/json"})


def bodies() -> list[tuple[str, str, dict[str, Any], Any]]:
    return [
        (method, path, operation, good_body(operation))
        for method, path, operation in operations()
        if "requestBody" in operation and operation["operationId"] != "delete_user"
    ]


def with_operators() -> Iterator[tuple[str, str, str, Any]]:
    """Yield method, path, the field that is attacked, and the body."""
    for method, path, _, body in bodies():
        for at, value in leaves(body):
            if isinstance(value, str):
                for operator in OPERATORS:
                    yield method, path, str(at[0]), replaced(body, at, operator)


def test_no_string_may_be_an_operator_of_the_database(attacker: Any) -> None:
    problems = []
    for method, path, field, body in some(list(with_operators())):
        answer = sent(attacker.http, method, path, body)
        named = [item["field"] for item in answer.json()["error"]["details"]] if answer.status_code == 422 else []
        if not any(name.startswith(field) for name in named):
            problems.append(f"{method} {path} {str(body)[:300]}: {answer.status_code} {answer.text[:200]}")
    assert not problems, "\n".join(problems)


def test_no_string_is_more_than_a_string(attacker: Any) -> None:
    problems = []
    attacks = [
        (method, path, replaced(body, at, text))
        for method, path, _, body in bodies()
        for at, value in leaves(body)
        for text in STRINGS
        if isinstance(value, str)
    ]
    for method, path, body in some(attacks):
        answer = sent(attacker.http, method, path, body)
        is_lone = "\\ud800" in json.dumps(body)
        if not (is_refusal(answer) or (answer.is_success and not is_lone)):
            problems.append(f"{method} {path} {str(body)[:300]}: {answer.status_code} {answer.text[:200]}")
    assert not problems, "\n".join(problems)


def hostile_json() -> dict[str, str]:
    """Return JSON that is deep, wide, long or none."""
    wide: Any = [0] * 100_000
    for _ in range(10):
        wide = {"a": wide}
    return {
        "deep lists": "[" * 100_000,
        "deep objects": '{"a":' * 100_000,
        "deep and closed": "[" * 100_000 + "]" * 100_000,
        "ten levels of 100,000": json.dumps(wide),
        "100,000 fields": json.dumps({f"f{number}": 0 for number in range(100_000)}),
        "a field 100,000 times": "{" + ",".join(['"name": 1'] * 100_000) + "}",
        "a long number": '{"strength": ' + "9" * 1_000_000 + "}",
        "a long exponent": '{"strength": 1e' + "9" * 1000 + "}",
        "NaN": '{"strength": NaN, "exposure": -Infinity}',
        "NUL": '{"\\u0000": "\\u0000"}',
        "raw NUL": '{"a": "\0"}',
        "a lone surrogate": '{"\\ud800": "\\udfff"}',
        "prototype": '{"__proto__": {"isAdmin": true}, "constructor": {}, "__class__": "x"}',
        "operators for names": '{"$where": "1", "a.b": 1, "$set": {"scopes": ["admin"]}}',
        "no object": "1",
        "no end": '{"name": "',
        "a comment": "{/* */}",
        "a byte order mark": "\ufeff{}",
    }


def test_json_that_is_deep_wide_or_none_is_refused(attacker: Any) -> None:
    problems = []
    attacks = [(*operation[:2], name, text) for operation in bodies() for name, text in hostile_json().items()]
    for method, path, name, text in some(attacks):
        answer = sent(attacker.http, method, path, text)
        if not is_refusal(answer):
            problems.append(f"{method} {path} {name}: {answer.status_code} {answer.text[:200]}")
        if answer.elapsed.total_seconds() > 15:
            problems.append(f"{method} {path} {name}: took {answer.elapsed}")
    assert not problems, "\n".join(problems)


def test_no_path_or_query_leads_astray(attacker: Any) -> None:
    problems = []
    attacks = []
    for method, path, operation in operations():
        if "{" in path:
            before, _, rest = path.partition("{")
            attacks += [(method, f"{before}{segment}{rest.partition('}')[2]}", True) for segment in SEGMENTS]
        for parameter in operation.get("parameters", []):
            if parameter.get("in") == "query":
                name = parameter["name"]
                queries = [f"{name}[$gt]=", *(f"{name}={quote(text[:3000], errors='replace')}" for text in STRINGS)]
                attacks += [(method, f"{path.replace('{', '').replace('}', '')}?{query}", False) for query in queries]
    for method, url, must_fail in some(attacks, 1 if IS_FULL else 6):
        body: dict[str, Any] | None = {} if method in ("PUT", "POST") else None
        answer = attacker.http.request(method, url, json=body, headers={"idempotency-key": secrets.token_hex(8)})
        if not (is_refusal(answer) or (answer.is_success and not must_fail)):
            problems.append(f"{method} {url[:200]}: {answer.status_code} {answer.text[:200]}")
    assert not problems, "\n".join(problems)


def test_no_header_is_more_than_a_header(attacker: Any) -> None:
    project = {"name": "x", "shots": []}
    for key in ('{"$gt": ""}', "x" * 10_000, "\xff", "", "a\tb", "$where"):
        headers = {"idempotency-key": key.encode("latin-1")}
        assert is_refusal(attacker.http.post("/minimatics/projects", json=project, headers=headers)), key
    for key in ('{"$gt": ""}', "studio_$where_x", "studio_" + "0" * 9000, "studio_a_b_c_d"):
        answer = attacker.http.get("/uploads", headers={"x-api-key": key})
        assert (answer.status_code, answer.json()) == (403, {"message": "Forbidden"}), key


@pytest.mark.parametrize("path", ["/minimatics/projects/%22/duplicate", "/minimatics/projects/%C2%A7%60/duplicate"])
@pytest.mark.parametrize("body", ["", "no JSON"])
def test_an_unknown_path_with_an_idempotency_key_has_the_envelope(attacker: Any, path: str, body: str) -> None:
    headers = {"idempotency-key": secrets.token_hex(8), "content-type": "application/json"}
    answer = attacker.http.post(path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ROUTE_NOT_FOUND")


@pytest.fixture
def victim(stack: Stack) -> Iterator[dict[str, str]]:
    """Another user who has an upload and a result."""
    with httpx.Client(base_url=stack.url, timeout=40) as http:
        login = {"email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_hex(8)}
        owner = http.post("/auth/register", json=login).raise_for_status().json()["user_id"]
        http.headers["X-API-KEY"] = http.post("/auth/login", json=login).raise_for_status().json()["api_key"]
        upload = store(http)
        body = {"image_key": upload, "output": {"delivery": "url"}}
        result = http.post("/tone-mapping/auto-correct", json=body).raise_for_status().json()["result_key"]
        yield {"user_id": owner, "upload": upload, "result": result}


def store(http: httpx.Client) -> str:
    form = http.post("/uploads", json={"content_type": "image/jpeg"}).raise_for_status().json()
    httpx.post(form["url"], data=form["fields"], files={"file": corpus.picture("jpeg")}).raise_for_status()
    key: str = form["image_key"]
    return key


def disguises(own: str, mine: str, foreign: str, theirs: str) -> list[str]:
    """Return ways to name a foreign object: from one's own prefix, by look-alikes, by odd paths."""
    name = foreign.partition(f"{theirs}/")[2]
    return [
        *(f"/{foreign}", f"//{foreign}", f"./{foreign}", foreign.replace("/", "//"), foreign.upper()),
        *(
            f"users/{mine}/uploads/../../{theirs}/{name}",
            f"users/{mine}/../{theirs}/{name}",
            f"{own}/../../../{foreign}",
        ),
        *(f"users/{mine}/uploads/..%2f..%2f{theirs}/{name}", f"users/{mine}\\..\\{theirs}\\{name}", quote(foreign, "")),
        *(foreign.replace("/", "\uff0f"), foreign.replace("/", "\u2215"), foreign.replace("u", "\u03c5", 1)),
        *(
            foreign.replace("users", "us\u0435rs"),
            foreign + "\0",
            foreign + "\n",
            f"\ufeff{foreign}",
            f"{own}\0{foreign}",
        ),
        *(
            f"{own}\n{foreign}",
            f"s3://bucket/{foreign}",
            f"users/{mine}/uploads/\uff0e\uff0e/\uff0e\uff0e/{theirs}/{name}",
        ),
        *(f"users/{theirs}", f"users/{theirs}/", "users/", "*", f"users/{mine}/presets/x", f"users/{mine}/jobs/x/y"),
    ]


def test_no_key_leads_to_another_users_object(attacker: Any, victim: dict[str, str]) -> None:
    own = store(attacker.http)
    photo = {"image_key": own}
    shot = {"image_key": own, "duration_frames": 1}
    problems = []
    plain = [victim["upload"], victim["result"]]
    disguised = [key for foreign in plain for key in disguises(own, attacker.user_id, foreign, victim["user_id"])]
    for key in plain + some(disguised, 1 if IS_FULL else 2):
        for path, body in (
            ("/tone-mapping/auto-correct", {"image_key": key}),
            ("/tone-mapping/auto-correct", {**photo, "reference_key": key}),
            ("/tone-mapping/adjust", {"image_key": key, "adjustments": {}, "use_container": True}),
            ("/tone-mapping/apply-preset", {"image_key": key, "preset_id": "builtin_noir"}),
            ("/tone-mapping/lut", {"auto": {"image_key": key}}),
            ("/tone-mapping/bulk", {"image_keys": [own, key], "task_type": "auto_correct", "parameters": {}}),
            ("/tone-mapping/bulk", {"manifest_key": key, "task_type": "auto_correct", "parameters": {}}),
            ("/tone-mapping/presets/import", {"file_key": key}),
            ("/minimatics/projects", {"name": "x", "shots": [shot, {**shot, "image_key": key}]}),
            ("/minimatics/projects", {"name": "x", "shots": [shot], "audio": [{"audio_key": key, "role": "music"}]}),
        ):
            answer = sent(attacker.http, "POST", path, body)
            tally.counts[tally.REACHED] += answer.is_success
            if not is_refusal(answer):
                problems.append(f"{path} {body}: {answer.status_code} {answer.text[:200]}")
    assert not problems, "\n".join(problems)


def test_a_presigned_url_opens_nothing_else(attacker: Any, victim: dict[str, str]) -> None:
    body = {"image_key": store(attacker.http), "output": {"delivery": "url"}}
    graded = attacker.http.post("/tone-mapping/auto-correct", json=body).raise_for_status().json()
    httpx.get(graded["image_url"]).raise_for_status()
    for other in (victim["upload"], victim["result"]):
        answer = httpx.get(graded["image_url"].replace(graded["result_key"], other))
        tally.counts[tally.TRIED] += 1
        tally.counts[tally.REACHED] += answer.is_success
        assert answer.status_code == 403
    form = attacker.http.post("/uploads", json={"content_type": "image/jpeg"}).json()
    forged = {**form["fields"], "key": victim["upload"]}
    answer = httpx.post(form["url"], data=forged, files={"file": b"mine now"})
    tally.counts[tally.TRIED] += 1
    tally.counts[tally.REACHED] += answer.is_success
    assert answer.status_code == 403
