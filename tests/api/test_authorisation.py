"""Nobody gets at another user's things: every route of the API document, with every way to name one.

A route or a way that is not here yet fails: add it to `BODIES` and `WAYS`.
"""

import io
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pymongo
import pytest
from PIL import Image

from local import openapi
from local.stack import Stack
from tests import tally

DOCUMENT: dict[str, Any] = json.loads(openapi.DOCUMENT.read_text())
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
PUBLIC = {name for name, (_, path, _) in OPERATIONS.items() if path in openapi.PUBLIC_PATHS}
KEYED = sorted(OPERATIONS.keys() - PUBLIC)

# What routes need no scope for, or any that a user has: whoever has a key may see what there is of theirs, and send
# something. Jobs take the scope of their task.
WITHOUT_SCOPE = {
    *("get_user", "delete_user", "list_api_keys", "create_api_key", "rotate_api_key", "revoke_api_key"),
    *("list_jobs", "get_job_status", "get_job_result", "cancel_job", "get_callback_secret"),
    *("create_upload", "list_uploads", "delete_upload"),
}
EXPORT = {
    *("list_projects", "create_project", "get_project", "update_project", "delete_project", "duplicate_project"),
    "export_video",
}

FILM = {"size": "720p", "fps": 24, "shots": [{"image_key": "{image_key}", "duration_frames": 24}]}
LOOK = {"name": "Look", "adjustments": {"exposure": 1}}
BULK = {"task_type": "adjust", "parameters": {"adjustments": {"exposure": 1}}}
# A right body of each route that has one; in braces, what a user has.
BODIES: dict[str, dict[str, Any]] = {
    "create_api_key": {"name": "script"},
    "delete_user": {"password": "not the right one"},
    "create_upload": {"content_type": "image/png"},
    "create_preset": LOOK,
    "update_preset": LOOK,
    "import_preset": {"file_key": "{image_key}"},
    "adjust": {"image_key": "{image_key}", "adjustments": {"exposure": 1}},
    "apply_preset": {"image_key": "{image_key}", "preset_id": "builtin_noir"},
    "auto_correct": {"image_key": "{image_key}"},
    "bulk_grade": {"image_keys": ["{image_key}"], **BULK},
    "create_lut": {"preset_id": "{preset_id}"},
    "suggest": {"prompt": "warmer", "image_key": "{image_key}"},
    "create_project": FILM,
    "update_project": FILM,
    "rotate_api_key": {"grace_seconds": 0},
    "duplicate_project": {"name": "Copy"},
    "export_video": {"projectId": "{project_id}"},
}


def body(name: str, **changes: Any) -> dict[str, Any]:
    return BODIES[name] | changes


OWN = "{own_image_key}"
SHOT = {"image_key": OWN, "duration_frames": 24}
# Every way to name a thing in a body, and what it comes to. A project tells all that is wrong with it at once.
WAYS: list[tuple[str, str, dict[str, Any], int]] = [
    ("adjust", "image_key", body("adjust"), 404),
    ("apply_preset", "image_key", body("apply_preset"), 404),
    ("apply_preset", "preset_id", body("apply_preset", image_key=OWN, preset_id="{preset_id}"), 404),
    ("auto_correct", "image_key", body("auto_correct"), 404),
    ("auto_correct", "reference_key", body("auto_correct", image_key=OWN, reference_key="{image_key}"), 404),
    ("bulk_grade", "image_keys", body("bulk_grade"), 404),
    ("bulk_grade", "manifest_key", {"manifest_key": "{image_key}", **BULK}, 404),
    (
        "bulk_grade",
        "parameters",
        {"image_keys": [OWN], "task_type": "auto_correct", "parameters": {"reference_key": "{image_key}"}},
        404,
    ),
    (
        "bulk_grade",
        "parameters",
        {"image_keys": [OWN], "task_type": "apply_preset", "parameters": {"preset_id": "{preset_id}"}},
        404,
    ),
    ("create_lut", "image_key", {"auto": {"image_key": "{image_key}"}}, 404),
    ("create_lut", "preset_id", body("create_lut"), 404),
    ("import_preset", "file_key", body("import_preset"), 404),
    ("suggest", "image_key", body("suggest"), 404),
    ("export_video", "projectId", body("export_video"), 404),
    ("export_video", "projectId", body("export_video", dry_run=True), 404),
    ("create_project", "image_key", body("create_project"), 422),
    ("create_project", "audio_key", body("create_project", shots=[SHOT], audio=[{"audio_key": "{image_key}"}]), 422),
    (
        "create_project",
        "preset_id",
        body("create_project", shots=[SHOT | {"grade": {"preset_id": "{preset_id}"}}]),
        422,
    ),
    ("update_project", "image_key", body("update_project"), 422),
    ("update_project", "audio_key", body("update_project", shots=[SHOT], audio=[{"audio_key": "{image_key}"}]), 422),
    (
        "update_project",
        "preset_id",
        body("update_project", shots=[SHOT | {"grade": {"preset_id": "{preset_id}"}}]),
        422,
    ),
]


def test_previous_answers_take_the_scope_of_their_routes() -> None:
    scopes = {
        path.parent.name: re.findall(r'create_handler\(app, idempotent=True(?:, scope="(\w+)")?\)', path.read_text())
        for path in openapi.api_files()
        if path.parent.name in openapi.idempotent_operations()
    }
    without = {name: [""] for name in scopes.keys() & WITHOUT_SCOPE}
    expected = {name: ["export" if name in EXPORT else "grade"] for name in scopes.keys() - WITHOUT_SCOPE}
    assert scopes == expected | without


@dataclass
class Person:
    """A user of the stack, with a key of every scope that a user has, and what they made."""

    http: httpx.Client
    user_id: str
    things: dict[str, str]


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), (90, 90, 90)).save(buffer, "PNG")
    return buffer.getvalue()


def make_person(stack: Stack) -> Person:
    http = httpx.Client(base_url=stack.url, timeout=40)
    login = {"email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_hex(8)}
    user_id = http.post("/auth/register", json=login).raise_for_status().json()["user_id"]
    key = http.post("/auth/login", json=login).raise_for_status().json()
    http.headers["X-API-KEY"] = key["api_key"]
    return Person(http, user_id, {"key_id": key["key_id"]})


def make_things(person: Person) -> None:
    """Make one of everything that has a name."""
    http = person.http
    form = http.post("/uploads", json={"content_type": "image/png"}).raise_for_status().json()
    httpx.post(form["url"], data=form["fields"], files={"file": picture()}).raise_for_status()
    things = {"upload_id": form["upload_id"], "image_key": form["image_key"]}
    adjust = {"image_key": form["image_key"], "adjustments": {"exposure": 1}, "output": {"delivery": "url"}}
    graded = http.post("/tone-mapping/adjust", json=adjust).raise_for_status().json()
    things["image_url"] = graded["image_url"]
    things["cache_key"] = http.get("/tone-mapping/cache").json()["items"][0]["cache_key"]
    things["preset_id"] = http.post("/tone-mapping/presets", json=LOOK).raise_for_status().json()["preset_id"]
    film = fill(FILM, things)
    things["project_id"] = http.post("/minimatics/projects", json=film).raise_for_status().json()["project_id"]
    job = {**adjust, "use_container": True, "wait_for_result": True}
    http.post("/tone-mapping/adjust", json=job).raise_for_status()
    things["job_id"] = http.get("/compute-tasks").json()["items"][0]["job_id"]
    person.things |= things


def fill(template: Any, things: dict[str, str]) -> Any:
    """Put what a user has in the place of its name in braces."""
    if isinstance(template, dict):
        return {name: fill(value, things) for name, value in template.items()}
    if isinstance(template, list):
        return [fill(value, things) for value in template]
    return template.format(**things) if isinstance(template, str) else template


@pytest.fixture(scope="module")
def owner(stack: Stack) -> Iterator[Person]:
    person = make_person(stack)
    make_things(person)
    yield person
    person.http.close()


@pytest.fixture(scope="module")
def stranger(stack: Stack) -> Iterator[Person]:
    person = make_person(stack)
    form = person.http.post("/uploads", json={"content_type": "image/png"}).raise_for_status().json()
    httpx.post(form["url"], data=form["fields"], files={"file": picture()}).raise_for_status()
    person.things["own_image_key"] = form["image_key"]
    yield person
    person.http.close()


@pytest.fixture(scope="module")
def keys(stranger: Person) -> dict[str, str]:
    """A key of the stranger's with just one scope, by scope."""
    made = {
        scope: stranger.http.post("/auth/api-keys", json={"name": scope, "scopes": [scope]}).raise_for_status().json()
        for scope in ("grade", "export")
    }
    return {scope: key["api_key"] for scope, key in made.items()}


@pytest.fixture
def foreign(owner: Person, stranger: Person) -> dict[str, str]:
    """What is the owner's, and an image that is the stranger's own."""
    return owner.things | {"own_image_key": stranger.things["own_image_key"]}


def nothing(things: dict[str, str]) -> dict[str, str]:
    """Return names of the same form of what nobody has: an image's is under the same user's prefix."""
    own = {"own_image_key": things["own_image_key"]}
    return {name: re.sub(r"[0-9a-f]{12}$", "0" * 12, value) for name, value in things.items()} | own


def call(
    person: Person, name: str, things: dict[str, str], given: Any = None, key: str | None = None
) -> httpx.Response:
    method, path, operation = OPERATIONS[name]
    content = given if given is not None else BODIES.get(name)
    assert (content is not None) == ("requestBody" in operation), f"{name} is not in BODIES, or has no body"
    answer = person.http.request(
        method,
        fill(path, things),
        json=None if content is None else fill(content, things),
        headers={"X-API-KEY": key} if key else {},
    )
    tally.counts[tally.TRIED] += 1
    tally.counts[tally.SERVER_ERRORS] += answer.status_code >= 500
    return answer


def outcome(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def named(schema: Any, seen: tuple[str, ...] = ()) -> Iterator[str]:
    """Names of the fields of a schema that name a thing."""
    if isinstance(schema, list):
        for item in schema:
            yield from named(item, seen)
    if isinstance(schema, dict):
        reference = schema.get("$ref", "").rpartition("/")[2]
        if reference and reference not in seen:
            yield from named(DOCUMENT["components"]["schemas"][reference], (*seen, reference))
        yield from (name for name in schema.get("properties", {}) if re.search("(_key|_id|Id)s?$", name))
        for value in schema.values():
            yield from named(value, seen)


def test_every_way_to_name_a_thing_is_walked() -> None:
    ways = {
        (name, field)
        for name, (_, _, operation) in OPERATIONS.items()
        for field in named(operation.get("requestBody", {}))
    }
    assert len(ways) > 10
    assert ways == {(name, field) for name, field, _, _ in WAYS if field != "parameters"}


@pytest.mark.parametrize("name", KEYED)
def test_without_a_key_there_is_no_answer(anonymous: httpx.Client, foreign: dict[str, str], name: str) -> None:
    answer = call(Person(anonymous, "", {}), name, foreign)
    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - PUBLIC - WITHOUT_SCOPE))
def test_a_key_without_the_scope_is_refused(
    stranger: Person, keys: dict[str, str], foreign: dict[str, str], name: str
) -> None:
    key = keys["grade" if name in EXPORT else "export"]
    assert outcome(call(stranger, name, foreign, key=key)) == (403, "MISSING_SCOPE")


@pytest.mark.parametrize("name", sorted(name for name, (_, path, _) in OPERATIONS.items() if "{" in path))
def test_another_users_thing_is_not_there(stranger: Person, foreign: dict[str, str], name: str) -> None:
    given = fill(FILM, {"image_key": OWN}) if name == "update_project" else None
    answers = [call(stranger, name, things, given) for things in (foreign, nothing(foreign))]
    tally.counts[tally.REACHED] += answers[0].is_success
    assert answers[0].status_code == 404
    assert outcome(answers[0]) == outcome(answers[1]), "what there is and what is not are told apart"


@pytest.mark.parametrize(("name", "field", "given", "status"), WAYS, ids=[f"{way[0]}-{way[1]}" for way in WAYS])
def test_a_request_cannot_use_another_users_thing(
    stranger: Person, owner: Person, foreign: dict[str, str], name: str, field: str, given: dict[str, Any], status: int
) -> None:
    answers = [call(stranger, name, things, given) for things in (foreign, nothing(foreign))]
    tally.counts[tally.REACHED] += answers[0].is_success
    assert answers[0].status_code == status, answers[0].text
    assert outcome(answers[0]) == outcome(answers[1]), "what there is and what is not are told apart"
    [detail] = answers[0].json()["error"]["details"]
    assert field in detail["field"]


@pytest.mark.parametrize(
    "name", sorted(name for name, (method, path, _) in OPERATIONS.items() if method == "GET" and "{" not in path)
)
def test_no_list_shows_what_is_another_users(stranger: Person, owner: Person, name: str) -> None:
    text = stranger.http.get(OPERATIONS[name][1]).raise_for_status().text
    assert not [thing for thing in (owner.user_id, *owner.things.values()) if thing in text]


@pytest.mark.parametrize(
    "form",
    [
        "users/{me}/uploads/../../{them}/uploads/{upload}",
        "users/{me}/../{them}/uploads/{upload}",
        "./users/{them}/uploads/{upload}",
        "/users/{them}/uploads/{upload}",
        "users//{them}/uploads/{upload}",
        "users/{them}/uploads/{upload}/",
        "users/{them}/uploads/{upload}?x=users/{me}/uploads/",
        "users%2F{them}%2Fuploads%2F{upload}",
        "users/{them}\u2215uploads/{upload}",  # a division slash
        "users\uff0f{them}\uff0fuploads\uff0f{upload}",  # full width
        "users/{them}/uploads/{upload}\n",
        "users/{them}/uploads/{upload}\u200b",
        "\uff55sers/{them}/uploads/{upload}",
        "USERS/{them}/uploads/{upload}",
        "users/{me}\\..\\{them}\\uploads\\{upload}",
        "s3://bucket/users/{them}/uploads/{upload}",
    ],
)
def test_no_spelling_of_a_key_leads_to_another_users_object(stranger: Person, owner: Person, form: str) -> None:
    key = form.format(me=stranger.user_id, them=owner.user_id, upload=owner.things["upload_id"])
    answer = stranger.http.post("/tone-mapping/adjust", json={"image_key": key, "adjustments": {"exposure": 1}})
    assert outcome(answer) == (404, "OBJECT_NOT_FOUND")


def test_a_presigned_url_opens_only_its_own_object(stranger: Person, owner: Person) -> None:
    adjust = {
        "image_key": stranger.things["own_image_key"],
        "adjustments": {"exposure": 1},
        "output": {"delivery": "url"},
    }
    mine = urlsplit(stranger.http.post("/tone-mapping/adjust", json=adjust).raise_for_status().json()["image_url"])
    assert httpx.get(mine.geturl()).status_code == 200
    theirs = urlsplit(owner.things["image_url"])
    assert httpx.get(mine._replace(path=theirs.path).geturl()).status_code == 403

    form = stranger.http.post("/uploads", json={"content_type": "image/png"}).json()
    fields = form["fields"] | {"key": owner.things["image_key"]}
    assert httpx.post(form["url"], data=fields, files={"file": picture()}).status_code == 403


def test_the_owner_has_everything_still(stack: Stack, owner: Person) -> None:
    """After all of the above, and the oracle of it: each of these names leads to something."""
    for name in ("get_preset", "get_project", "get_job_status", "get_job_result"):
        assert call(owner, name, owner.things).status_code == 200, name
    assert owner.things["cache_key"] in owner.http.get("/tone-mapping/cache").text
    assert owner.things["upload_id"] in owner.http.get("/uploads").text
    [film] = owner.http.get("/minimatics/projects").json()["items"]
    assert (film["name"], film["version"]) == ("Untitled", 1)
    [look] = [
        item for item in owner.http.get("/tone-mapping/presets?limit=100").json()["items"] if not item["is_builtin"]
    ]
    assert look["name"] == "Look"
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        assert client["studio"]["apiKeys"].count_documents({"userId": owner.user_id, "revokedAt": None}) == 1
