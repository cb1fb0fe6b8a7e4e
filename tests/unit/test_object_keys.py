import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.caller import Caller
from studio.documents import new_id
from studio.errors import NotFoundError
from studio.object_keys import input_key, job_key, require_own, require_upload, result_key, upload_key

CALLER = Caller(user_id=new_id("usr"), key_id="key_1", scopes=frozenset())


def test_own_keys_are_accepted() -> None:
    require_own(CALLER, upload_key(CALLER.user_id, new_id("upl")), "image_key")
    require_own(CALLER, result_key(CALLER.user_id, new_id("res"), "jpeg"), "image_key")
    require_own(CALLER, input_key(CALLER.user_id, new_id("inp")), "image_key")


def test_only_uploads_are_uploads() -> None:
    require_upload(CALLER, upload_key(CALLER.user_id, new_id("upl")), "file_key")
    for key in (
        result_key(CALLER.user_id, new_id("res"), "jpeg"),
        input_key(CALLER.user_id, new_id("inp")),
        upload_key(new_id("usr"), new_id("upl")),
    ):
        with pytest.raises(NotFoundError):
            require_upload(CALLER, key, "file_key")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        upload_key(new_id("usr"), new_id("upl")),
        input_key(new_id("usr"), new_id("inp")),
        job_key(CALLER.user_id, new_id("job"), "manifest.json"),
        upload_key(CALLER.user_id, ""),
        upload_key(CALLER.user_id, "../../" + new_id("usr")),
        upload_key(CALLER.user_id, "a") + "\n",
        "/" + upload_key(CALLER.user_id, "a"),
        upload_key(CALLER.user_id, "a").replace("/", "\uff0f"),
        upload_key(CALLER.user_id, "a").replace("users", "USERS"),
        upload_key(CALLER.user_id, "a%2f.."),
        f"users/{CALLER.user_id}/secrets/a",
    ],
)
def test_other_keys_are_not_found(key: str) -> None:
    with pytest.raises(NotFoundError):
        require_own(CALLER, key, "image_key")


@given(st.text(), st.sampled_from(["uploads", "results", "inputs"]))
def test_what_is_accepted_stays_under_the_callers_prefix(text: str, folder: str) -> None:
    key = f"users/{CALLER.user_id}/{folder}/{text}"
    try:
        require_own(CALLER, key, "image_key")
    except NotFoundError:
        return
    assert ".." not in key
    assert key.count("/") == 3
    assert key.isascii()
