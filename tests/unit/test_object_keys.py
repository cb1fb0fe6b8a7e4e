import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from studio.caller import Caller
from studio.documents import new_id
from studio.errors import NotFoundError
from studio.object_keys import input_key, is_own, job_key, require_own, require_upload, result_key, upload_key

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


def is_name(text: str) -> bool:
    """Tell whether a text is what an object may be called below its folder: no way out of there, and one ending."""
    stem, dot, ending = text.partition(".")
    letters = set("abcdefghijklmnopqrstuvwxyz")
    is_ending = set(ending) <= letters and bool(ending) == bool(dot)
    return stem != "" and set(stem) <= letters | set("0123456789_") and is_ending


@given(st.text("az09_./%", max_size=12) | st.text(), st.sampled_from(["uploads", "results", "inputs"]))
@example("a\n", "uploads")
@example("\uff41.png", "results")
@example("a.png\n", "inputs")
def test_what_is_accepted_is_one_plain_name_in_the_callers_folder(text: str, folder: str) -> None:
    assert is_own(CALLER, f"users/{CALLER.user_id}/{folder}/{text}") is is_name(text)
