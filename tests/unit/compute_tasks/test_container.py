import signal

import pytest

from studio.compute_tasks.container import ending_on_sigterm, is_stopping


def test_a_container_knows_that_it_was_told_to_stop_whatever_becomes_of_the_exception() -> None:
    with ending_on_sigterm():
        assert not is_stopping()
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGTERM)
        assert is_stopping()
        signal.raise_signal(signal.SIGTERM)  # once is enough
    assert not is_stopping()
