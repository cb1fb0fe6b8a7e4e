"""Settings of suggest."""

from pydantic import Field

from studio.settings import Settings


class SuggestSettings(Settings):
    """Which language model is asked, and how long everything may take."""

    openai_secret_arn: str | None = None
    openai_base_url: str = "https://api.openai.com/v1"
    openai_model: str = "gpt-5.4-mini"
    # From the request's beginning, its picture included: an HTTP API waits for 30 s.
    suggest_seconds: float = Field(default=25, gt=0, le=25)
