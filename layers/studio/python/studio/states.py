"""What functions that are states of a state machine have in common."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from studio.errors import unavailable_dependency
from studio.observability import event_handler, logger

State = Callable[..., dict[str, Any]]


class TransientError(Exception):
    """Another try may do: every such state's `Retry` has this name."""


def retryable(state: State) -> State:
    """Tell Step Functions by `TransientError` where something that a state depends on is down or too busy.

    Parameters
    ----------
    state : callable
        May be done several times.

    Returns
    -------
    callable
        Takes and answers the same.

    Raises
    ------
    TransientError
        By what is returned; every other error of the state is raised as it is.
    """

    @wraps(state)
    def told(*arguments: Any) -> dict[str, Any]:
        try:
            return state(*arguments)
        except Exception as error:
            if dependency := unavailable_dependency(error):
                logger.exception("dependency unavailable", dependency=dependency)
                raise TransientError(f"{dependency} does not answer") from error
            raise

    return told


def state_handler(state: State) -> State:
    """Make the Lambda handler of a state: an `event_handler` that is `retryable`.

    Parameters
    ----------
    state : callable
        May be done several times.

    Returns
    -------
    callable
    """
    return event_handler(retryable(state))
