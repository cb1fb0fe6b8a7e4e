"""Settings of users and keys."""

from typing import Literal

from pydantic import Field

from studio.settings import Settings


class AuthSettings(Settings):
    """Who may register, how long a login lasts, and who has to wait for the next one."""

    registration: Literal["open", "invite", "closed"] = "closed"
    registration_invite_secret_arn: str | None = None
    registrations_per_hour: int = Field(default=20, ge=0, description="From one address; 0 for no limit.")
    api_keys_max: int = Field(default=50, ge=1, description="Working keys of one user, those of logins apart.")
    login_keys_max: int = Field(default=100, ge=1, description="Of one user; the next login deletes the oldest.")
    login_key_seconds: int = Field(default=12 * 3600, ge=60)
    login_user_failures: int = Field(default=5, ge=1, description="Of one user, before the first wait.")
    login_address_failures: int = Field(default=50, ge=1, description="From one address: an office may be behind it.")
    login_first_wait_seconds: int = Field(default=10, ge=1, description="Doubled by each further failure.")
    login_longest_wait_seconds: int = Field(default=900, ge=1)
    login_forget_seconds: int = Field(default=3600, ge=1, description="After the last failure.")
