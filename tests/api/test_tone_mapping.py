import base64
import io
import struct
import zlib
from typing import Any

import httpx
import numpy as np
import pytest
import skimage.data
from PIL import Image

from studio.tone_mapping.adjustments import Adjustments
from studio.tone_mapping.read_adjustments import read_adjustments

ROUTE = "/tone-mapping/auto-correct"


def photo(image_format: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.chelsea()).save(buffer, image_format, **options)
    return buffer.getvalue()


def noise(size_bytes: int) -> bytes:
    """A JPEG of at least so many bytes, and few more."""
    rng = np.random.default_rng(1)
    height = size_bytes // 1500
    while True:
        pixels = rng.integers(0, 256, (height, 1000, 3), dtype=np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
        if len(buffer.getvalue()) >= size_bytes:
            return buffer.getvalue()
        height = height * 11 // 10


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def inline(data: bytes, **fields: Any) -> dict[str, Any]:
    return {"image": base64.b64encode(data).decode(), **fields}


def upload(http: httpx.Client, data: bytes, content_type: str = "image/jpeg") -> str:
    form = http.post("/uploads", json={"content_type": content_type}).raise_for_status().json()
    httpx.post(form["url"], data=form["fields"], files={"file": data}, timeout=30).raise_for_status()
    key: str = form["image_key"]
    return key


def test_a_photo_is_corrected_and_explained(user: Any) -> None:
    answer = user.http.post(ROUTE, json=inline(photo(quality=95)))
    assert answer.status_code == 200
    graded = answer.json()
    assert graded["request_id"] == answer.headers["x-request-id"]
    assert (graded["format"], graded["width"], graded["height"]) == ("jpeg", 451, 300)
    assert read_adjustments(graded["adjustments"]) != Adjustments()
    assert 0 <= graded["confidence"] <= 1
    assert any(step["applied"] and step["reason"] for step in graded["steps"])
    assert {"load", "decode", "analyse", "lut", "apply", "encode", "deliver"} <= graded["timings_ms"].keys()
    before, after = graded["statistics"]["before"], graded["statistics"]["after"]
    assert after["luma_mean"] != before["luma_mean"]
    with Image.open(io.BytesIO(base64.b64decode(graded["image"]))) as image:
        image.load()
        assert (image.format, image.size) == ("JPEG", (451, 300))
        measured = np.asarray(image.convert("L")).mean() / 255
    assert abs(measured - after["luma_mean"]) < 0.01


def test_what_is_skipped_stays_as_it_is(user: Any) -> None:
    dark = Image.fromarray((skimage.data.coffee() * 0.3).astype(np.uint8))
    buffer = io.BytesIO()
    dark.save(buffer, "PNG")
    full = user.http.post(ROUTE, json=inline(buffer.getvalue(), dry_run=True)).json()
    skipped = user.http.post(ROUTE, json=inline(buffer.getvalue(), dry_run=True, skip=["tone"])).json()
    assert full["adjustments"]["exposure"] > 0.3
    assert skipped["adjustments"]["exposure"] == 0
    assert any("Skipped" in step["reason"] for step in skipped["steps"])
    assert user.http.post(ROUTE, json=inline(b"", skip=["taste"])).status_code == 422


def test_a_data_url_is_the_same_as_base64(user: Any) -> None:
    plain = inline(photo("PNG"))
    as_url = {"image": "data:image/png;base64," + plain["image"]}
    assert user.http.post(ROUTE, json=as_url).json()["image"] == user.http.post(ROUTE, json=plain).json()["image"]


@pytest.mark.parametrize("image_format", ["jpeg", "png", "webp", "avif", "tiff"])
def test_every_format_goes_in_and_comes_out(user: Any, image_format: str) -> None:
    body = inline(photo(image_format.upper()), output={"max_size": 100})
    graded = user.http.post(ROUTE, json=body).raise_for_status().json()
    assert (graded["format"], graded["width"]) == (image_format, 100)
    with Image.open(io.BytesIO(base64.b64decode(graded["image"]))) as image:
        assert image.format == image_format.upper()


def test_no_strength_leaves_the_picture(user: Any) -> None:
    graded = user.http.post(ROUTE, json=inline(photo("PNG"), strength=0)).json()
    with Image.open(io.BytesIO(base64.b64decode(graded["image"]))) as image:
        assert np.array_equal(np.asarray(image), skimage.data.chelsea())


def test_an_upload_is_graded_and_its_result_delivered_by_url(user: Any) -> None:
    key = upload(user.http, photo())
    graded = user.http.post(ROUTE, json={"image_key": key, "output": {"delivery": "url"}}).raise_for_status().json()
    assert graded["image"] is None
    assert graded["result_key"].startswith(f"users/{user.user_id}/results/")
    stored = httpx.get(graded["image_url"]).raise_for_status()
    assert stored.headers["content-type"] == "image/jpeg"
    assert len(stored.content) == graded["size_bytes"]
    # A result is an object of the caller's like any other.
    assert user.http.post(ROUTE, json={"image_key": graded["result_key"]}).status_code == 200


def test_a_photo_too_large_for_inline_names_uploads(user: Any) -> None:
    answer = user.http.post(ROUTE, json=inline(noise(4_200_000)))
    assert answer.status_code == 413
    error = answer.json()["error"]
    assert error["code"] == "IMAGE_TOO_LARGE"
    assert "/uploads" in error["message"]
    assert "4,000,000" in error["message"]
    assert error["details"][0]["field"] == "image"


def test_seven_megabytes_are_refused_inline_by_the_gateway_and_taken_as_an_upload(user: Any) -> None:
    data = noise(7_000_000)
    answer = user.http.post(ROUTE, json=inline(data))
    assert (answer.status_code, answer.json().keys()) == (413, {"message"})
    graded = user.http.post(ROUTE, json={"image_key": upload(user.http, data)}).raise_for_status().json()
    assert graded["image"] is None, "a result of several megabytes is delivered by URL"
    assert len(httpx.get(graded["image_url"]).content) == graded["size_bytes"]
    refused = user.http.post(
        ROUTE, json={"image_key": graded["result_key"], "output": {"format": "png", "delivery": "inline"}}
    )
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "RESULT_TOO_LARGE")


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"This is a text file called photo.jpg.", 415, "UNSUPPORTED_FORMAT"),
        (photo("GIF"), 415, "UNSUPPORTED_FORMAT"),
        (photo()[: len(photo()) // 2], 422, "IMAGE_TRUNCATED"),
        (png_header(30_000, 30_000), 413, "IMAGE_TOO_LARGE"),
        (b"", 415, "UNSUPPORTED_FORMAT"),
    ],
    ids=["text", "gif", "truncated", "huge", "empty"],
)
def test_what_is_no_good_image(user: Any, data: bytes, status: int, code: str) -> None:
    answer = user.http.post(ROUTE, json=inline(data))
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["details"][0]["field"] == "image"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"image": "AAAA", "image_key": "users/x"}, "body"),
        ({"image": "not base64!"}, "image"),
        ({"image": "data:image/png,AAAA"}, "image"),
        ({"image": "AAAA", "strength": 101}, "strength"),
        ({"image": "AAAA", "output": {"quality": 0}}, "output.quality"),
        ({"image": "AAAA", "output": {"format": "gif"}}, "output.format"),
        ({"image": "AAAA", "exposure": 1}, "exposure"),
        ({"image_url": "https://example.com/a.jpg"}, "image_url"),
    ],
)
def test_invalid_fields_are_named(user: Any, body: dict[str, Any], field: str) -> None:
    answer = user.http.post(ROUTE, json=body)
    assert answer.status_code == 422
    assert [detail["field"] for detail in answer.json()["error"]["details"]] == [field]


def test_another_users_object_is_not_found(user: Any) -> None:
    key = upload(user.http, photo())
    foreign = key.replace(user.user_id, "usr_" + "0" * 24)
    for missing in (foreign, key + "0", key.replace("uploads", "uploads/../uploads")):
        answer = user.http.post(ROUTE, json={"image_key": missing})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "OBJECT_NOT_FOUND")


def dark(pixels: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray((pixels * 0.5).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_photo_is_graded_to_look_like_a_reference(user: Any) -> None:
    reference = upload(user.http, photo("PNG"))
    body = inline(dark(skimage.data.chelsea()), reference_key=reference)
    graded = user.http.post(ROUTE, json=body).raise_for_status().json()
    assert graded["adjustments"]["exposure"] > 0.5
    assert [step["name"] for step in graded["steps"]] == ["tone", "white_balance", "saturation", "content"]
    assert [grade["source"] for grade in graded["grades"]] == ["auto"]
    with Image.open(io.BytesIO(base64.b64decode(graded["image"]))) as image:
        assert np.abs(np.asarray(image).astype(float) - skimage.data.chelsea()).mean() < 8
    half = user.http.post(ROUTE, json=body | {"strength": 50, "dry_run": True}).raise_for_status().json()
    assert half["adjustments"]["exposure"] == graded["adjustments"]["exposure"] / 2
    # A result is a reference like any other: the look goes on from picture to picture.
    stored = user.http.post(ROUTE, json=body | {"output": {"delivery": "url"}}).raise_for_status().json()
    again = user.http.post(ROUTE, json=body | {"reference_key": stored["result_key"]}).raise_for_status().json()
    assert abs(again["adjustments"]["exposure"] - graded["adjustments"]["exposure"]) < 0.2


@pytest.mark.parametrize("more", [{}, {"use_cache": False}, {"dry_run": True}], ids=str)
def test_what_is_wrong_with_a_reference_is_said_of_it(user: Any, more: dict[str, Any]) -> None:
    def refusal(reference: str) -> tuple[int, str, str]:
        answer = user.http.post(ROUTE, json=inline(photo(), reference_key=reference, **more))
        error = answer.json()["error"]
        return answer.status_code, error["code"], error["details"][0]["field"]

    key = upload(user.http, photo())
    for missing in (key.replace(user.user_id, "usr_" + "0" * 24), key + "0", ""):
        assert refusal(missing) == (404, "OBJECT_NOT_FOUND", "reference_key")
    assert refusal(upload(user.http, b"no picture")) == (415, "UNSUPPORTED_FORMAT", "reference_key")
    assert refusal(upload(user.http, photo()[:5000])) == (422, "IMAGE_TRUNCATED", "reference_key")
    assert refusal(upload(user.http, png_header(30_000, 30_000))) == (413, "IMAGE_TOO_LARGE", "reference_key")


def test_what_is_wrong_with_the_image_is_not_said_of_the_reference(user: Any) -> None:
    answer = user.http.post(ROUTE, json=inline(b"no picture", reference_key=upload(user.http, photo())))
    assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (415, "image")


def test_a_key_without_the_scope_is_refused(user: Any) -> None:
    key = user.http.post("/auth/api-keys", json={"name": "films", "scopes": ["export"]}).json()
    for route, body in ((ROUTE, inline(photo())), ("/tone-mapping/lut", {"adjustments": {}})):
        answer = user.http.post(route, json=body, headers={"X-API-KEY": key["api_key"]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "MISSING_SCOPE")


@pytest.mark.parametrize(
    ("image", "status", "code", "field"),
    [
        ({"image_key": "nothing"}, 404, "OBJECT_NOT_FOUND", "auto.image_key"),
        ({"image_url": "https://example.com/photo.jpg"}, 422, "IMAGE_URL_DISABLED", "auto.image_url"),
        ({"image": "%"}, 422, "INVALID_BASE64", "auto.image"),
        (inline(b"x" * 4_000_001), 413, "IMAGE_TOO_LARGE", "auto.image"),
        (inline(b"no picture"), 415, "UNSUPPORTED_FORMAT", "auto.image"),
        ({"image_key": "x" * 301}, 422, "INVALID_FIELD", "auto.image_key"),
    ],
)
def test_what_is_wrong_with_a_luts_image_is_said_of_its_field(
    user: Any, image: dict[str, str], status: int, code: str, field: str
) -> None:
    answer = user.http.post("/tone-mapping/lut", json={"auto": image})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["details"][0]["field"]) == (status, code, field)


@pytest.mark.parametrize("size", [17, 33])
def test_every_size_of_a_lut_fits_an_answer(user: Any, size: int) -> None:
    answer = user.http.post("/tone-mapping/lut", json={"adjustments": {"exposure": 1}, "size": size})
    assert (answer.status_code, answer.json()["size"]) == (200, size)


def test_the_lut_of_a_correction_reproduces_it(user: Any) -> None:
    graded = user.http.post(ROUTE, json=inline(photo("PNG"))).json()
    lut = user.http.post("/tone-mapping/lut", json={"adjustments": graded["adjustments"]}).raise_for_status().json()
    assert lut["lut_id"] == graded["lut_id"]
    lines = lut["cube"].splitlines()
    assert f"LUT_3D_SIZE {lut['size']}" in lines
    assert len([line for line in lines if line and line[0] in "01-"]) == lut["size"] ** 3
