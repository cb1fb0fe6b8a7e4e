"""Presets, and the images that are graded with them."""

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
import skimage.data
from PIL import Image

ROUTE = "/tone-mapping/presets"
APPLY = "/tone-mapping/apply-preset"
NEGATIVE = "LUT_3D_SIZE 2\n1 1 1\n0 1 1\n1 0 1\n0 0 1\n1 1 0\n0 1 0\n1 0 0\n0 0 0\n"


def photo() -> dict[str, str]:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.coffee()[::4, ::4]).save(buffer, "PNG")
    return {"image": base64.b64encode(buffer.getvalue()).decode()}


def pixels(graded: dict[str, Any]) -> Any:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(graded["image"]))).convert("RGB")).astype(int)


ORIGINAL = skimage.data.coffee()[::4, ::4].astype(int)


def test_sliders_are_applied(user: Any) -> None:
    body = photo() | {"adjustments": {"exposure": -1, "saturation": -100}}
    graded = user.http.post("/tone-mapping/adjust", json=body).raise_for_status().json()
    assert graded["adjustments"]["exposure"] == -1
    assert (graded["confidence"], graded["steps"]) == (None, [])
    assert [grade["source"] for grade in graded["grades"]] == ["adjustments"]
    assert np.ptp(pixels(graded), axis=2).max() <= 1
    assert pixels(graded).mean() < 0.8 * ORIGINAL.mean()


def test_a_dry_run_tells_everything_but_the_picture(user: Any) -> None:
    body = photo() | {"adjustments": {"exposure": 1}}
    wet = user.http.post("/tone-mapping/adjust", json=body).json()
    dry = user.http.post("/tone-mapping/adjust", json=body | {"dry_run": True}).json()
    assert (dry["image"], dry["image_url"], dry["size_bytes"]) == (None, None, None)
    for name in ("lut_id", "adjustments", "width", "height", "format", "grades"):
        assert dry[name] == wet[name]
    assert dry["statistics"]["after"]["luma_mean"] == pytest.approx(wet["statistics"]["after"]["luma_mean"], abs=0.01)


def test_every_builtin_look_is_listed_and_does_something_of_its_own(user: Any) -> None:
    looks = [item for item in user.http.get(ROUTE, params={"limit": 100}).json()["items"] if item["is_builtin"]]
    assert len(looks) >= 12
    assert len({item["lut_id"] for item in (apply(user, look["preset_id"]) for look in looks)}) == len(looks)


def apply(user: Any, preset_id: str, **more: Any) -> dict[str, Any]:
    graded: dict[str, Any] = (
        user.http.post(APPLY, json=photo() | {"preset_id": preset_id} | more).raise_for_status().json()
    )
    return graded


def test_no_strength_of_a_look_leaves_the_picture(user: Any) -> None:
    assert np.array_equal(pixels(apply(user, "builtin_noir", strength=0)), ORIGINAL)


def test_auto_preset_and_sliders_are_one_lut_in_that_order(user: Any) -> None:
    graded = apply(user, "builtin_matte", auto=True, adjustments={"saturation": -100})
    assert [grade["source"] for grade in graded["grades"]] == ["auto", "preset", "adjustments"]
    assert graded["grades"][0]["adjustments"] is not None
    assert graded["confidence"] is not None
    assert np.ptp(pixels(graded), axis=2).max() <= 1, "the sliders come last"
    lut = user.http.post(
        "/tone-mapping/lut",
        json={"auto": photo(), "preset_id": "builtin_matte", "adjustments": {"saturation": -100}, "delivery": "url"},
    ).json()
    assert lut["lut_id"] == graded["lut_id"]


def test_a_preset_is_created_read_replaced_listed_and_deleted(user: Any) -> None:
    created = user.http.post(ROUTE, json={"name": "Mine", "adjustments": {"exposure": 0.5}}).json()
    url = f"{ROUTE}/{created['preset_id']}"
    assert user.http.get(url).json() == created
    changed = user.http.put(url, json={"name": "Ours", "description": "new", "adjustments": {"contrast": 9}}).json()
    assert (changed["name"], changed["adjustments"]["exposure"], changed["adjustments"]["contrast"]) == ("Ours", 0, 9)
    page = user.http.get(ROUTE, params={"cursor": "builtin_z"}).json()
    assert (page["items"], page["next_cursor"]) == ([changed], None)
    assert user.http.delete(url).status_code == 204
    for answer in (user.http.get(url), user.http.delete(url), user.http.put(url, json={"name": "X"})):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "PRESET_NOT_FOUND")


def test_a_name_of_blanks_is_no_name(user: Any) -> None:
    refused = user.http.post(ROUTE, json={"name": "   ", "adjustments": {}})
    assert (refused.status_code, refused.json()["error"]["details"][0]["field"]) == (422, "name")
    assert user.http.post(ROUTE, json={"name": " Mine ", "adjustments": {}}).json()["name"] == "Mine"


def test_pages_go_through_builtin_and_own_presets(user: Any) -> None:
    for number in range(3):
        user.http.post(ROUTE, json={"name": f"P{number}", "adjustments": {}})
    everything = user.http.get(ROUTE, params={"limit": 100}).json()["items"]
    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = user.http.get(ROUTE, params={"limit": 7} | cursor).json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert seen == everything
    assert [item["name"] for item in seen[-3:]] == ["P0", "P1", "P2"]


def test_builtin_looks_cannot_be_changed(user: Any) -> None:
    for answer in (
        user.http.put(f"{ROUTE}/builtin_noir", json={"name": "X", "adjustments": {}}),
        user.http.delete(f"{ROUTE}/builtin_noir"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "PRESET_IS_BUILTIN")


def test_another_users_preset_is_not_found(user: Any, anonymous: Any) -> None:
    mine = user.http.post(ROUTE, json={"name": "Mine", "adjustments": {}}).json()["preset_id"]
    email, password = "other-" + user.email, "correct horse battery"
    anonymous.post("/auth/register", json={"email": email, "password": password}).raise_for_status()
    key = anonymous.post("/auth/login", json={"email": email, "password": password}).json()["api_key"]
    headers = {"X-API-KEY": key}
    assert anonymous.get(f"{ROUTE}/{mine}", headers=headers).status_code == 404
    assert anonymous.get(f"{ROUTE}/{mine}/cube", headers=headers).status_code == 404
    assert anonymous.delete(f"{ROUTE}/{mine}", headers=headers).status_code == 404
    assert anonymous.post(APPLY, json=photo() | {"preset_id": mine}, headers=headers).status_code == 404
    assert user.http.get(f"{ROUTE}/{mine}").status_code == 200


def test_a_cube_is_imported_applied_and_exported_as_it_was(user: Any) -> None:
    preset = user.http.post(f"{ROUTE}/import", json={"content": NEGATIVE, "name": "Negative"}).json()
    assert (preset["kind"], preset["lut_size"], preset["format"]) == ("lut", 2, "cube")
    url = f"{ROUTE}/{preset['preset_id']}"
    assert np.abs(pixels(apply(user, preset["preset_id"])) - (255 - ORIGINAL)).max() <= 1
    half = pixels(apply(user, preset["preset_id"], strength=50))
    assert np.abs(half - 127.5).max() <= 1.5, "half way to the negative is grey"
    cube = user.http.get(f"{url}/cube")
    assert cube.headers["content-disposition"] == 'attachment; filename="Negative.cube"'
    assert [line.split() for line in cube.text.splitlines()[-8:]] == [
        [f"{float(value):.6f}" for value in line.split()] for line in NEGATIVE.splitlines()[1:]
    ]
    assert user.http.put(url, json={"name": "N", "adjustments": {}}).status_code == 422
    assert user.http.put(url, json={"name": "N"}).json()["kind"] == "lut"
    assert user.http.delete(url).status_code == 204


@pytest.mark.parametrize(("look", "nodes"), [("noir", 33), ("autumn", 50)])
def test_a_look_is_exported_with_the_nodes_that_it_takes(user: Any, look: str, nodes: int) -> None:
    answer = user.http.get(f"{ROUTE}/builtin_{look}/cube").raise_for_status()
    assert f"LUT_3D_SIZE {nodes}\n" in answer.text


def test_the_largest_export_fits_the_answer_whatever_its_numbers(user: Any) -> None:
    content = "LUT_3D_SIZE 50\n" + "-1e6 -1e6 -1e6\n" * 50**3
    preset = user.http.post(f"{ROUTE}/import", json={"content": content}).raise_for_status().json()
    url = f"{ROUTE}/{preset['preset_id']}/cube"
    answer = user.http.get(url).raise_for_status()
    rows = [line for line in answer.text.splitlines() if line.startswith(("-1000000.0", "-999999.9"))]
    assert len(rows) == 50**3
    refused = user.http.get(url, params={"size": 51})
    [detail] = refused.json()["error"]["details"]
    assert (refused.status_code, detail["field"]) == (422, "size")
    assert "50" in detail["message"]


def test_an_uploaded_file_is_imported(user: Any) -> None:
    form = user.http.post("/uploads", json={"content_type": "application/octet-stream"}).raise_for_status().json()
    httpx.post(form["url"], data=form["fields"], files={"file": NEGATIVE.encode()}).raise_for_status()
    preset = user.http.post(f"{ROUTE}/import", json={"file_key": form["image_key"]}).raise_for_status().json()
    assert preset["lut_size"] == 2


def test_a_result_is_not_imported(user: Any) -> None:
    body = {"adjustments": {"contrast": 5}, "size": 17, "delivery": "url"}
    url = user.http.post("/tone-mapping/lut", json=body).raise_for_status().json()["lut_url"]
    key = "users/" + url.partition("/users/")[2].partition("?")[0]
    assert key.endswith(".cube")
    answer = user.http.post(f"{ROUTE}/import", json={"file_key": key})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "OBJECT_NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({}, 422, "INVALID_FIELD", "body"),
        ({"content": "", "file_key": ""}, 422, "INVALID_FIELD", "body"),
        ({"content": NEGATIVE.replace("0 1 1", "0 1 x")}, 422, "PRESET_FILE_INVALID", "content"),
        ({"content": "<xml"}, 422, "PRESET_FILE_INVALID", "content"),
        ({"content": "hello"}, 422, "PRESET_FILE_INVALID", "content"),
        ({"content": NEGATIVE, "format": "look"}, 422, "INVALID_FIELD", "format"),
        ({"file_key": "users/usr_000000000000000000000002/uploads/a"}, 404, "OBJECT_NOT_FOUND", "file_key"),
    ],
)
def test_files_that_cannot_be_imported(user: Any, body: dict[str, Any], status: int, code: str, field: str) -> None:
    answer = user.http.post(f"{ROUTE}/import", json=body)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["details"][0]["field"] == field


@pytest.mark.parametrize("delivery", ["inline", "url"])
@pytest.mark.parametrize("file_format", ["cube", "png", "json"])
def test_a_lut_comes_in_every_form(user: Any, file_format: str, delivery: str) -> None:
    body = {"adjustments": {"saturation": -100}, "size": 17, "format": file_format, "delivery": delivery}
    lut = user.http.post("/tone-mapping/lut", json=body).raise_for_status().json()
    field = {"cube": "cube", "png": "png", "json": "table"}[file_format]
    assert (lut[field] is not None) == (delivery == "inline")
    if delivery == "url":
        assert httpx.get(lut["lut_url"]).raise_for_status().content
    elif file_format == "png":
        image = Image.open(io.BytesIO(base64.b64decode(lut["png"])))
        assert image.size == (17 * 17, 17)
        red, green, blue = 16, 0, 0
        assert np.ptp(np.asarray(image)[green, blue * 17 + red]) <= 1
        assert np.asarray(image)[green, blue * 17 + red][0] == pytest.approx(127, abs=3)  # grey of red's luminance
    elif file_format == "json":
        assert len(lut["table"]) == 17**3 * 3
        assert lut["table"][16 * 3] == pytest.approx(127 / 255, abs=0.01)


def test_spatial_sliders_are_told_to_be_missing_from_a_lut(user: Any) -> None:
    lut = user.http.post("/tone-mapping/lut", json={"adjustments": {"clarity": 30, "contrast": 5}, "size": 17}).json()
    assert lut["spatial"] == ["clarity"]
