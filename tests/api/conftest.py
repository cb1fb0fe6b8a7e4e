import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from local.stack import Stack


@dataclass
class User:
    """A fresh user of the stack: a client that sends its key, and what it logs in with."""

    http: httpx.Client
    user_id: str
    email: str
    password: str
    api_key: str
    key_id: str


@pytest.fixture
def anonymous(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, timeout=40) as http:
        yield http


@pytest.fixture
def user(stack: Stack) -> Iterator[User]:
    with httpx.Client(base_url=stack.url, timeout=40) as http:
        login = {"email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_hex(8)}
        registered = http.post("/auth/register", json=login).raise_for_status().json()
        key = http.post("/auth/login", json=login).raise_for_status().json()
        http.headers["X-API-KEY"] = key["api_key"]
        yield User(http, registered["user_id"], login["email"], login["password"], key["api_key"], key["key_id"])
