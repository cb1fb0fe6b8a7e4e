"""Suggestions through the API, as far as the embedded stack's language model goes."""

import base64
from typing import Any

from local.fixtures import PHOTO
from studio.tone_mapping.read_adjustments import read_adjustments

ROUTE = "/tone-mapping/suggest"
WORDS = {"prompt": "Warmer, moody; lift the shadows"}


def test_an_answer_can_be_applied_as_it_is(user: Any) -> None:
    image = base64.b64encode(PHOTO.read_bytes()).decode()
    answer = user.http.post(ROUTE, json={**WORDS, "image": image})
    assert answer.status_code == 200, answer.text
    suggested = answer.json()
    assert suggested.keys() == {"adjustments", "reason", "clamped", "model", "request_id"}
    assert suggested["request_id"] == answer.headers["x-request-id"]
    assert read_adjustments(suggested["adjustments"]).temperature == 20
    graded = user.http.post("/tone-mapping/adjust", json={"image": image, "adjustments": suggested["adjustments"]})
    assert graded.status_code == 200, graded.text
    assert graded.json()["adjustments"] == suggested["adjustments"]


def test_a_request_that_is_sent_again_is_asked_once(user: Any) -> None:
    key = {"Idempotency-Key": "once"}
    first = user.http.post(ROUTE, json=WORDS, headers=key)
    again = user.http.post(ROUTE, json=WORDS, headers=key)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json() == first.json()
    other = user.http.post(ROUTE, json={"prompt": "cooler"}, headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "IDEMPOTENCY_MISMATCH")


def test_another_users_picture_is_not_there(user: Any) -> None:
    body = {**WORDS, "image_key": f"users/usr_{'9' * 24}/uploads/upl_{'9' * 24}"}
    answer = user.http.post(ROUTE, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "OBJECT_NOT_FOUND")


def test_two_pictures_are_too_many(user: Any) -> None:
    answer = user.http.post(ROUTE, json={**WORDS, "image": "aaaa", "image_key": "users/"})
    assert answer.status_code == 422
    assert "at most one of" in answer.json()["error"]["message"]
