"""Settings of the cache."""

from pydantic import Field

from studio.settings import Settings


class CacheSettings(Settings):
    """How long and how much is kept, a user."""

    # Below the seven days after which the bucket's lifecycle expires results.
    cache_ttl_seconds: int = Field(default=6 * 24 * 3600, ge=1, le=6 * 24 * 3600)
    cache_max_entries: int = Field(default=1000, ge=1)
    cache_max_bytes: int = Field(default=5_000_000_000, ge=1)
    # Whoever computes an entry has it this long: a little more than the function's own timeout.
    cache_claim_seconds: int = Field(default=35, ge=1)
    # For somebody else's computation; then the caller computes by itself, well within the function's timeout.
    cache_wait_seconds: float = Field(default=8, ge=0)
