"""Grading with cache and storage behind it: what happens when one of them fails, and what a hit costs."""

import base64
import io
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import numpy as np
import pymongo
import pytest
from botocore.exceptions import ClientError
from PIL import Image
from pymongo.database import Database

from local.aws import connect
from local.stack import Stack
from studio import mongo, storage
from studio.caller import Caller
from studio.documents import new_id, utc_now
from studio.object_keys import preset_key
from studio.settings import Settings
from studio.tone_mapping import service
from studio.tone_mapping.cache.repository import use_entry
from studio.tone_mapping.cache.service import delete_entry, purge
from studio.tone_mapping.models import AdjustRequest, ApplyPresetRequest, GradedImageResponse
from studio.tone_mapping.presets.files import export_preset, import_preset
from studio.tone_mapping.presets.models import ImportPresetRequest
from tests.integration.conftest import aws_of

CALLER = Caller(user_id=new_id("usr"), key_id="key_1", scopes=frozenset({"grade"}))
Configure = Any


@pytest.fixture
def configure(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Set the module's environment; what it caches is dropped before and after."""

    def forget() -> None:
        mongo.get_database.cache_clear()
        storage._connect.cache_clear()
        Settings.load.__func__.cache_clear()  # type: ignore[attr-defined]

    def apply(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        forget()

    apply(
        POWERTOOLS_METRICS_NAMESPACE="Studio",
        POWERTOOLS_SERVICE_NAME="studio",
        POWERTOOLS_TRACE_DISABLED="true",
        MONGODB_URI=stack.mongodb_uri,
        BUCKET_NAME=stack.bucket_name,
        **aws_of(stack),
    )
    yield apply
    monkeypatch.undo()
    forget()


@pytest.fixture
def entries(stack: Stack) -> Iterator[Any]:
    """Return the caller's cache, empty at first."""
    with pymongo.MongoClient[dict[str, Any]](stack.mongodb_uri) as client:
        database: Database[dict[str, Any]] = client["studio"]
        database["toneMappingCache"].delete_many({"userId": CALLER.user_id})
        yield lambda: list(database["toneMappingCache"].find({"userId": CALLER.user_id}))


def picture() -> str:
    buffer = io.BytesIO()
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def adjust(delivery: str = "inline") -> GradedImageResponse:
    body = {
        "image": picture(),
        "adjustments": {"exposure": 0.5},
        "output": {"delivery": delivery},
    }
    return service.adjust(CALLER, AdjustRequest.model_validate(body), "request-1")


def test_a_result_that_cannot_be_stored_is_answered_and_not_kept(
    configure: Configure, entries: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(BUCKET_NAME="no-such-bucket")
    for _ in range(2):
        graded = adjust()
        assert graded.image
        assert graded.cache == "miss"
    assert entries() == []
    assert capsys.readouterr().out.count('"ResultNotStored":[1') == 2


@pytest.mark.usefixtures("configure")
@pytest.mark.parametrize("delivery", ["inline", "auto"])
def test_a_hit_whose_pixels_are_gone_is_computed_anew(entries: Any, delivery: str) -> None:
    adjust(delivery)
    [entry] = entries()
    storage.delete(entry["resultKey"])
    again = adjust(delivery)
    assert again.cache == "miss"
    assert again.image
    [anew] = entries()
    assert anew["resultKey"] != entry["resultKey"]
    assert adjust(delivery).cache == "hit"


@pytest.mark.usefixtures("configure", "entries")
def test_a_hit_by_url_is_the_same_object() -> None:
    first, again = adjust("url"), adjust("url")
    assert (again.cache, again.result_key) == ("hit", first.result_key)
    assert httpx.get(again.image_url or "").is_success


@pytest.mark.usefixtures("configure")
@pytest.mark.parametrize("which", ["all", "one"])
def test_what_fails_to_be_deleted_half_way_is_no_hit_and_is_deleted_by_the_next_try(
    entries: Any, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    first = adjust("url")
    [entry] = entries()
    delete_many = storage.delete_many

    def delete() -> None:
        if which == "all":
            assert purge(CALLER, everybody=False).entries == 1
        else:
            delete_entry(CALLER, entry["_id"])

    def die(keys: Sequence[str]) -> None:
        delete_many(keys)
        raise ClientError({"Error": {"Code": "InternalError"}}, "DeleteObjects")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete_many", die)
        with pytest.raises(ClientError):
            delete()
    assert len(entries()) == 1
    assert use_entry(entry["_id"], utc_now()) is None
    delete()
    again = adjust("url")
    assert again.cache == "miss"
    assert httpx.get(first.image_url or "").status_code == 404
    assert httpx.get(again.image_url or "").is_success


def test_another_bucket_is_another_cache(configure: Configure, entries: Any, stack: Stack) -> None:
    adjust("url")
    connect("s3", stack.aws_endpoint_url).create_bucket(Bucket="moved-to")
    configure(BUCKET_NAME="moved-to")
    assert adjust("url").cache == "miss"
    assert len(entries()) == 2


@pytest.mark.usefixtures("configure")
def test_a_hit_on_a_preset_that_is_a_table_needs_no_table(entries: Any) -> None:
    swap = "LUT_3D_SIZE 2\n" + "\n".join(f"{b} {g} {r}" for b in (0, 1) for g in (0, 1) for r in (0, 1))
    preset = import_preset(CALLER, ImportPresetRequest(content=swap, name="swapped"))
    request = ApplyPresetRequest(image=picture(), preset_id=preset.preset_id)
    first = service.apply_preset(CALLER, request, "request-1")
    storage.delete(preset_key(CALLER.user_id, preset.preset_id))
    again = service.apply_preset(CALLER, request, "request-1")
    assert (first.cache, again.cache) == ("miss", "hit")
    assert again.image == first.image
    assert len(entries()) == 1


@pytest.mark.usefixtures("configure", "entries")
def test_an_imported_curve_of_many_nodes_is_applied_and_exported() -> None:
    rows = "\n".join(f"{value:.6f} {value:.6f} {value:.6f}" for value in np.linspace(0, 1, 1024) ** 0.5)
    preset = import_preset(CALLER, ImportPresetRequest(content=f"LUT_1D_SIZE 1024\n{rows}\n", name="square root"))
    request = ApplyPresetRequest(image=picture(), preset_id=preset.preset_id)
    graded = service.apply_preset(CALLER, request, "request-1")
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(graded.image or ""))))
    assert np.abs(pixels.astype(int) - round((90 / 255) ** 0.5 * 255)).max() <= 1
    assert "LUT_3D_SIZE 65" in export_preset(CALLER, preset.preset_id, 65)[1]
