"""Minimatics projects through the API."""

from typing import Any

import httpx
import pytest

ROUTE = "/minimatics/projects"
KEY = {"Idempotency-Key": "the first, and again"}


@pytest.fixture
def image_key(user: Any) -> str:
    return upload(user.http)


def upload(http: httpx.Client) -> str:
    """Return the key of a new object of the user's."""
    form = http.post("/uploads", json={"content_type": "image/png"}).raise_for_status().json()
    httpx.post(form["url"], data=form["fields"], files={"file": b"pixels"}).raise_for_status()
    key: str = form["image_key"]
    return key


@pytest.fixture
def stranger(user: Any, anonymous: httpx.Client) -> httpx.Client:
    """Another user's client."""
    login = {"email": "other-" + user.email, "password": "correct horse battery"}
    anonymous.post("/auth/register", json=login).raise_for_status()
    anonymous.headers["X-API-KEY"] = anonymous.post("/auth/login", json=login).json()["api_key"]
    return anonymous


def film(image_key: str, **more: Any) -> dict[str, Any]:
    dissolve = {"type": "dissolve", "duration_frames": 12}
    shots = [
        {"image_key": image_key, "duration_frames": 72, "motion": "ken_burns_in", "transition": dissolve},
        {"image_key": image_key, "duration_frames": 60, "caption": {"text": "Ώδε, дом"}},
    ]
    return {"name": "Fox", "size": "720p", "fps": 23.976, "shots": shots, **more}


def create(http: httpx.Client, image_key: str, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = http.post(ROUTE, json=film(image_key, **more)).raise_for_status().json()
    return made


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_a_project_is_created_read_replaced_and_deleted(user: Any, image_key: str) -> None:
    answer = user.http.post(ROUTE, json=film(image_key))
    assert answer.status_code == 201
    created = answer.json()
    assert (created["name"], created["version"], created["latest_version"]) == ("Fox", 1, 1)
    assert (created["duration_frames"], created["shot_count"], created["fps"]) == (120, 2, "24000/1001")
    assert created["duration_seconds"] == pytest.approx(5.005)
    assert created["size"] == {"width": 1280, "height": 720}
    assert created["shots"][0]["motion"]["to"]["zoom"] == 1.2
    assert created["shots"][1]["caption"]["text"] == "Ώδε, дом"
    url = f"{ROUTE}/{created['project_id']}"
    assert user.http.get(url).json() == created
    changed = user.http.put(url, json={"shots": [{"image_key": image_key, "duration_frames": 30}]}).json()
    assert (changed["name"], changed["version"], changed["fps"], changed["duration_frames"]) == (
        "Untitled",
        2,
        "24",
        30,
    )
    assert user.http.get(url).json() == changed
    assert user.http.get(url, params={"version": 1}).json() == created | {"latest_version": 2}
    assert code(user.http.get(url, params={"version": 3})) == (404, "VERSION_NOT_FOUND")
    assert user.http.delete(url).status_code == 204
    for gone in (
        user.http.get(url),
        user.http.get(url, params={"version": 1}),
        user.http.delete(url),
        user.http.put(url, json=film(image_key)),
        user.http.post(f"{url}/duplicate"),
    ):
        assert code(gone) == (404, "PROJECT_NOT_FOUND")


def test_what_is_answered_can_be_sent_again(user: Any, image_key: str) -> None:
    created = create(user.http, image_key)
    of_the_answer = {
        *("project_id", "latest_version", "shot_count", "duration_frames", "duration_seconds"),
        *("created_at", "updated_at"),
    }
    body = {name: value for name, value in created.items() if name not in of_the_answer}
    again = user.http.put(f"{ROUTE}/{created['project_id']}", json=body).raise_for_status().json()
    assert {**again, "version": 1} | {"latest_version": 1, "updated_at": created["updated_at"]} == created


def test_a_change_of_an_old_version_is_refused_and_names_both(user: Any, image_key: str) -> None:
    url = f"{ROUTE}/{create(user.http, image_key)['project_id']}"
    assert user.http.put(url, json=film(image_key, version=1)).json()["version"] == 2
    refused = user.http.put(url, json=film(image_key, version=1))
    assert code(refused) == (409, "PROJECT_CHANGED")
    [detail] = refused.json()["error"]["details"]
    assert detail == {"field": "version", "message": "the latest version is 2 by now; you changed version 1"}
    assert user.http.get(url).json()["version"] == 2


def test_everything_that_is_wrong_is_told_at_once(user: Any, stranger: httpx.Client, image_key: str) -> None:
    theirs = upload(stranger)
    preset = stranger.post("/tone-mapping/presets", json={"name": "Theirs", "adjustments": {}}).json()["preset_id"]
    shot = {"image_key": image_key, "duration_frames": 24}
    body = {
        "name": " ",
        "size": "huge",
        "pace": "fast",
        "shots": [
            {"image_key": theirs, "duration_frames": 0},
            {"duration_frames": 24},
            shot | {"transition": {"type": "wipe", "duration_frames": 20}},
            shot | {"transition": {"type": "dissolve", "duration_frames": 20}},
            shot | {"caption": {"text": "x", "style": {"font": "comic_sans"}}, "grade": {"preset_id": preset}},
            shot | {"image_key": image_key + "0", "grade": {"preset_id": "builtin_noir"}},
            shot | {"image_key": "s3://elsewhere", "grade": {"preset_id": "builtin_no"}},
            shot | {"image_key": f"users/{user.user_id}/presets/pre_1"},
        ],
        "audio": [
            {"audio_key": image_key + "1", "start_seconds": 99},
            {"audio_key": image_key, "gain_db": 99},
        ],
    }
    refused = user.http.post(ROUTE, json=body)
    assert code(refused) == (422, "INVALID_FIELD")
    told = [(detail["field"], detail["message"]) for detail in refused.json()["error"]["details"]]
    assert sorted(field for field, _ in told) == sorted(
        [
            "name",
            "size",
            "pace",
            "shots.0.image_key",
            "shots.0.duration_frames",
            "shots.1.image_key",
            "shots.3.duration_frames",
            "shots.4.caption.style.font",
            "shots.4.grade.preset_id",
            "shots.5.image_key",
            "shots.6.image_key",
            "shots.6.grade.preset_id",
            "shots.7.image_key",
            "audio.0.audio_key",
            "audio.0.start_seconds",
            "audio.1.gain_db",
        ]
    )
    assert dict(told)["shots.0.image_key"] == f"you have no such object; got {theirs!r}"
    assert refused.json()["error"]["message"].endswith("; and 13 more")
    url = f"{ROUTE}/{create(user.http, image_key)['project_id']}"
    assert user.http.put(url, json=body).json()["error"]["details"] == refused.json()["error"]["details"]
    assert user.http.get(url).json()["version"] == 1


def test_of_very_many_problems_a_hundred_are_told(user: Any, image_key: str) -> None:
    shots = [{"image_key": image_key, "duration_frames": 0}] * 150
    error = user.http.post(ROUTE, json={"shots": shots}).json()["error"]
    assert len(error["details"]) == 100
    assert error["message"].endswith("; and 147 more")
    shots = [{"image_key": image_key, "duration_frames": 1}] * 2001
    [detail] = user.http.post(ROUTE, json={"shots": shots}).json()["error"]["details"][:1]
    assert detail == {"field": "shots", "message": "a project may have 2,000 shots; got 2,001"}


@pytest.mark.parametrize("body", [r'{"name": "\ud800"}', r'{"\ud800": 1, "shots": 2}', "[]", '"film"', "{", "", "null"])
def test_what_is_no_object_is_no_project(user: Any, body: str) -> None:
    refused = user.http.post(ROUTE, content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code in (400, 422)
    assert refused.json()["error"]["code"] in ("MALFORMED_JSON", "INVALID_FIELD")


def test_a_large_project_comes_and_goes(user: Any) -> None:
    keys = [upload(user.http) for _ in range(5)]
    shots = [
        {
            "image_key": keys[number % 5],
            "duration_frames": 24,
            "motion": "pan_left",
            "caption": {"text": f"Shot {number}"},
            "grade": {"auto": True, "adjustments": {"exposure": 0.1}},
        }
        for number in range(1000)
    ]
    made = user.http.post(ROUTE, json={"shots": shots}).raise_for_status().json()
    assert (made["shot_count"], made["duration_frames"], made["duration_seconds"]) == (1000, 24000, 1000)
    assert user.http.get(f"{ROUTE}/{made['project_id']}").json() == made


def test_own_presets_and_sounds_are_taken(user: Any, image_key: str) -> None:
    preset = user.http.post("/tone-mapping/presets", json={"name": "Mine", "adjustments": {}}).json()["preset_id"]
    body = film(image_key, audio=[{"audio_key": image_key, "role": "music", "gain_db": -6}])
    body["shots"][0]["grade"] = {"preset_id": preset, "strength": 50}
    made = user.http.post(ROUTE, json=body).raise_for_status().json()
    assert made["shots"][0]["grade"]["preset_id"] == preset
    assert made["audio"][0]["duck_db"] == -12


def test_pages_have_every_project_once_newest_first(user: Any, image_key: str) -> None:
    made = [create(user.http, image_key, name=f"P{number}") for number in range(5)]
    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = user.http.get(ROUTE, params={"limit": 2} | cursor).json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert [item["name"] for item in seen] == ["P4", "P3", "P2", "P1", "P0"]
    assert seen[-1] == {name: made[0][name] for name in seen[-1]}
    assert "shots" not in seen[0]
    assert code(user.http.get(ROUTE, params={"cursor": "prj_1"})) == (422, "INVALID_FIELD")


def test_a_copy_goes_its_own_way(user: Any, image_key: str) -> None:
    original = create(user.http, image_key, name="x" * 100)
    url = f"{ROUTE}/{original['project_id']}"
    user.http.put(url, json=film(image_key, fps=50)).raise_for_status()
    answer = user.http.post(f"{url}/duplicate", json={"version": 1})
    assert answer.status_code == 201
    copy = answer.json()
    assert (copy["name"], copy["version"]) == ("x" * 93 + " (copy)", 1)
    assert (copy["shots"], copy["fps"]) == (original["shots"], original["fps"])
    latest = user.http.post(f"{url}/duplicate").json()
    assert (latest["name"], latest["fps"]) == ("Fox (copy)", "50")
    assert user.http.delete(url).status_code == 204
    assert user.http.get(f"{ROUTE}/{copy['project_id']}").json() == copy


def test_what_is_sent_again_is_made_once(user: Any, image_key: str) -> None:
    first, again = (user.http.post(ROUTE, json=film(image_key), headers=KEY) for _ in range(2))
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert code(user.http.post(ROUTE, json=film(image_key, fps=25), headers=KEY)) == (409, "IDEMPOTENCY_MISMATCH")
    url = f"{ROUTE}/{first.json()['project_id']}/duplicate"
    copy, copy_again = (user.http.post(url, headers=KEY) for _ in range(2))
    assert copy.json()["project_id"] == copy_again.json()["project_id"] != first.json()["project_id"]
    assert len(user.http.get(ROUTE).json()["items"]) == 2


def test_another_users_projects_are_not_found(user: Any, stranger: httpx.Client, image_key: str) -> None:
    url = f"{ROUTE}/{create(user.http, image_key)['project_id']}"
    for answer in (
        stranger.get(url),
        stranger.get(url, params={"version": 1}),
        stranger.put(url, json=film(upload(stranger))),
        stranger.delete(url),
        stranger.post(f"{url}/duplicate"),
    ):
        assert code(answer) == (404, "PROJECT_NOT_FOUND")
    assert stranger.get(ROUTE).json()["items"] == []
    assert user.http.get(url).json()["version"] == 1


def test_a_key_without_the_scope_is_refused(user: Any, image_key: str) -> None:
    url = f"{ROUTE}/{create(user.http, image_key)['project_id']}"
    key = user.http.post("/auth/api-keys", json={"name": "grades", "scopes": ["grade"]}).json()["api_key"]
    user.http.headers["X-API-KEY"] = key
    for answer in (
        user.http.get(ROUTE),
        user.http.post(ROUTE, json={}),
        user.http.get(url),
        user.http.put(url, json={}),
        user.http.delete(url),
        user.http.post(f"{url}/duplicate"),
    ):
        assert code(answer) == (403, "MISSING_SCOPE")
