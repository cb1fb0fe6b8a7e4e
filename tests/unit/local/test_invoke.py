import sys

import pytest

from local import invoke


@pytest.mark.parametrize("name", ["create_api_key", "auth/create_api_key", "CreateApiKeyFunction"])
def test_a_function_goes_by_folder_or_logical_id(name: str) -> None:
    assert invoke._find_function(name).name == "CreateApiKeyFunction"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["create_key", "success"],
            "no function create_key; there are\n  auth/authorize_request\n  auth/create_api_key",
        ),
        (
            ["create_api_key", "nope"],
            "no case nope of auth/create_api_key; there are\n  forbidden\n  invalid_input\n  success",
        ),
    ],
)
def test_a_wrong_name_lists_the_known_ones(arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["invoke", *arguments])
    with pytest.raises(SystemExit, match=message):
        invoke.main()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mongodb://127.0.0.1:5000/?replicaSet=rs0", "mongodb://172.17.0.1:5000/?directConnection=true"),
        (
            "mongodb://me:pass@localhost:5000/x?replicaSet=a&tls=true",
            "mongodb://me:pass@172.17.0.1:5000/x?directConnection=true&tls=true",
        ),
        ("http://127.0.0.1:4000", "http://172.17.0.1:4000"),
        (
            "mongodb+srv://me:pass@cluster.example.net/?replicaSet=a",
            "mongodb+srv://me:pass@cluster.example.net/?replicaSet=a",
        ),
    ],
)
def test_only_loopback_is_seen_otherwise_from_a_container(url: str, expected: str) -> None:
    assert invoke._seen_from_container(url, "172.17.0.1") == expected
