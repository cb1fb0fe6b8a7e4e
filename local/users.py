"""The user of a stack on this machine, and keys of theirs."""

import httpx

# Nobody else reaches a stack on loopback, and its data may be kept: the same user comes back.
LOCAL_USER = {"email": "me@studio.example", "password": "local development only"}


def make_api_key(url: str) -> str:
    """Return an API key of the local user, who is registered when there is none yet."""
    with httpx.Client(base_url=url, timeout=30) as http:
        registered = http.post("/auth/register", json=LOCAL_USER)
        if registered.status_code != httpx.codes.CONFLICT:
            registered.raise_for_status()
        login = http.post("/auth/login", json=LOCAL_USER).raise_for_status().json()
        made = http.post(
            "/auth/api-keys",
            json={"name": "local", "scopes": ["grade", "export"]},
            headers={"X-API-KEY": login["api_key"]},
        )
        key: str = made.raise_for_status().json()["api_key"]
        return key
