"""The cache of graded images, through the API."""

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pymongo
import pytest
import skimage.data
from PIL import Image

from local.stack import Stack

ROUTE = "/tone-mapping/cache"
ADJUST = "/tone-mapping/adjust"


def body(**sliders: float) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.coffee()[::4, ::4]).save(buffer, "PNG")
    return {"image": base64.b64encode(buffer.getvalue()).decode(), "adjustments": sliders}


def test_the_second_answer_comes_from_the_cache_and_is_the_same(user: Any) -> None:
    first, second = (user.http.post(ADJUST, json=body(exposure=0.4)).raise_for_status().json() for _ in range(2))
    assert (first["cache"], second["cache"]) == ("miss", "hit")
    for name in first.keys() - {"cache", "timings_ms", "request_id"}:
        assert first[name] == second[name], name
    by_url = user.http.post(ADJUST, json=body(exposure=0.4) | {"output": {"delivery": "url"}}).json()
    assert by_url["cache"] == "hit", "delivery is no part of the key"
    assert httpx.get(by_url["image_url"]).content == base64.b64decode(first["image"])


@pytest.mark.parametrize(
    "other",
    [
        body(exposure=0.41),
        body(exposure=0.4) | {"output": {"quality": 80, "format": "jpeg"}},
        body(exposure=0.4) | {"use_cache": False},
        body(exposure=0.4) | {"dry_run": True},
    ],
)
def test_another_request_is_not_answered_from_it(user: Any, other: dict[str, Any]) -> None:
    user.http.post(ADJUST, json=body(exposure=0.4)).raise_for_status()
    assert user.http.post(ADJUST, json=other).raise_for_status().json()["cache"] == "miss"


def test_the_same_file_is_the_same_image_inline_and_uploaded(user: Any) -> None:
    inline = body(exposure=0.43)
    form = user.http.post("/uploads", json={"content_type": "image/png"}).json()
    file = base64.b64decode(inline["image"])
    httpx.post(form["url"], data=form["fields"], files={"file": file}).raise_for_status()
    uploaded = {"image_key": form["image_key"], "adjustments": inline["adjustments"]}
    first, second = (user.http.post(ADJUST, json=request).raise_for_status().json() for request in (inline, uploaded))
    assert (first["cache"], second["cache"]) == ("miss", "hit")
    assert first["image"] == second["image"]


def test_an_object_that_was_overwritten_is_graded_anew(user: Any) -> None:
    form = user.http.post("/uploads", json={"content_type": "image/png"}).json()
    request = {"image_key": form["image_key"], "adjustments": {"exposure": 0.4}}
    widths = []
    for size in (40, 40, 50):
        buffer = io.BytesIO()
        Image.fromarray(np.full((30, size, 3), 90, np.uint8)).save(buffer, "PNG")
        httpx.post(form["url"], data=form["fields"], files={"file": buffer.getvalue()}).raise_for_status()
        graded = user.http.post(ADJUST, json=request).raise_for_status().json()
        widths.append((graded["cache"], graded["width"]))
    assert widths == [("miss", 40), ("hit", 40), ("miss", 50)]


def test_a_reference_is_part_of_the_key_by_its_content(user: Any) -> None:
    form = user.http.post("/uploads", json={"content_type": "image/png"}).json()
    ways = []
    for reference, level in ((None, 0), (form["image_key"], 60), (form["image_key"], 60), (form["image_key"], 180)):
        buffer = io.BytesIO()
        Image.fromarray(np.full((30, 40, 3), level, np.uint8)).save(buffer, "PNG")
        httpx.post(form["url"], data=form["fields"], files={"file": buffer.getvalue()}).raise_for_status()
        request = {"image": body()["image"], "reference_key": reference}
        graded = user.http.post("/tone-mapping/auto-correct", json=request).raise_for_status().json()
        ways.append((graded["cache"], graded["adjustments"]["exposure"]))
    assert [cache for cache, _ in ways] == ["miss", "miss", "hit", "miss"]
    assert ways[1] == ("miss", ways[2][1])
    assert ways[3][1] > ways[1][1]
    # The same content under another key is the same reference.
    other = user.http.post("/uploads", json={"content_type": "image/png"}).json()
    httpx.post(other["url"], data=other["fields"], files={"file": buffer.getvalue()}).raise_for_status()
    request["reference_key"] = other["image_key"]
    assert user.http.post("/tone-mapping/auto-correct", json=request).json()["cache"] == "hit"


def test_a_changed_preset_is_applied_anew(user: Any) -> None:
    preset = user.http.post("/tone-mapping/presets", json={"name": "Mine", "adjustments": {"exposure": 1}}).json()
    request = {"image": body()["image"], "preset_id": preset["preset_id"]}

    def graded() -> tuple[str, float]:
        answer = user.http.post("/tone-mapping/apply-preset", json=request).raise_for_status().json()
        return answer["cache"], answer["adjustments"]["exposure"]

    assert [graded(), graded()] == [("miss", 1), ("hit", 1)]
    url = f"/tone-mapping/presets/{preset['preset_id']}"
    user.http.put(url, json={"name": "Mine", "adjustments": {"exposure": -1}}).raise_for_status()
    assert graded() == ("miss", -1)


def test_two_identical_requests_at_once_compute_once(user: Any) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: user.http.post(ADJUST, json=body(exposure=0.7), timeout=30).json(), range(4)))
    assert sorted(answer["cache"] for answer in answers) == ["hit", "hit", "hit", "miss"]
    assert len({answer["image"] for answer in answers}) == 1
    assert user.http.get(ROUTE).json()["entries"] == 1


def test_a_failure_is_not_kept_and_does_not_block_the_next(user: Any) -> None:
    broken = body() | {"image": base64.b64encode(b"no picture").decode()}
    for _ in range(2):
        assert user.http.post(ADJUST, json=broken, timeout=10).status_code == 415
    assert user.http.get(ROUTE).json()["entries"] == 0


def test_entries_are_told_counted_and_purged(user: Any) -> None:
    for exposure in (0.1, 0.2, 0.3, 0.1):
        user.http.post(ADJUST, json=body(exposure=exposure)).raise_for_status()
    told = user.http.get(ROUTE, params={"limit": 2}).json()
    assert (told["entries"], told["hits"], told["hit_rate"]) == (3, 1, 0.25)
    assert len(told["items"]) == 2
    assert told["items"][0]["hits"] == 1, "the last used comes first"
    rest = user.http.get(ROUTE, params={"limit": 2, "cursor": told["next_cursor"]}).json()
    assert (len(rest["items"]), rest["next_cursor"]) == (1, None)
    assert told["bytes"] == sum(item["size_bytes"] for item in told["items"] + rest["items"]) > 0

    one = f"{ROUTE}/{told['items'][0]['cache_key']}"
    assert [user.http.delete(one).status_code for _ in range(2)] == [204, 404]
    assert user.http.delete(ROUTE).json()["entries"] == 2
    assert user.http.get(ROUTE).json()["entries"] == 0
    assert user.http.post(ADJUST, json=body(exposure=0.1)).json()["cache"] == "miss"


def test_a_purge_deletes_the_pixels_too(user: Any) -> None:
    request = body(exposure=0.2) | {"output": {"delivery": "url"}}
    url = user.http.post(ADJUST, json=request).json()["image_url"]
    assert httpx.get(url).status_code == 200
    user.http.delete(ROUTE).raise_for_status()
    assert httpx.get(url).status_code == 404


def test_only_an_admin_purges_everybodys(user: Any, stack: Stack) -> None:
    user.http.post(ADJUST, json=body(exposure=0.2)).raise_for_status()
    assert user.http.delete(ROUTE, params={"scope": "all"}).status_code == 403
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        client["studio"]["users"].update_one({"_id": user.user_id}, {"$addToSet": {"scopes": "admin"}})
    login = {"email": user.email, "password": user.password}
    key = user.http.post("/auth/login", json=login).json()["api_key"]
    purged = user.http.delete(ROUTE, params={"scope": "all"}, headers={"X-API-KEY": key}).json()
    assert purged["entries"] >= 1
    assert user.http.get(ROUTE).json()["entries"] == 0


def test_sliders_of_an_image_are_cached_for_luts(user: Any) -> None:
    request = {"auto": {"image": body()["image"]}, "size": 17}
    first, second = (user.http.post("/tone-mapping/lut", json=request).raise_for_status().json() for _ in range(2))
    assert first["lut_id"] == second["lut_id"]
    [item] = user.http.get(ROUTE).json()["items"]
    assert (item["kind"], item["hits"]) == ("analysis", 1)
