from types import SimpleNamespace

import pytest

from local import fixtures


@pytest.mark.parametrize("host", ["db.example.com", "127.0.0.1.example.com", "10.0.0.5:27017"])
def test_fixtures_refuse_a_database_on_another_machine(host: str) -> None:
    """Their user's password is published."""
    stack = SimpleNamespace(mongodb_uri=f"mongodb://{host}/", aws_endpoint_url="", bucket_name="")
    with pytest.raises(SystemExit, match="on this machine only"):
        fixtures.seed(stack)
