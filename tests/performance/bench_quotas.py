"""What a key's quota costs a request: the count that each begins with, on a real MongoDB; at most 1 ms at the median.

Run by ``just bench``. Beside it the same request without a limit, and MongoDB's own answer to a ping.
"""

import os
import statistics
from collections.abc import Callable
from time import perf_counter

from local.stack import Stack
from tests.lambda_context import Context

COUNT = 1000


def median_ms(action: Callable[[], object]) -> float:
    """Return the median time of an action, after some to warm up.

    Parameters
    ----------
    action : callable
    """
    times = []
    for number in range(COUNT + 50):
        started = perf_counter()
        action()
        if number >= 50:
            times.append(perf_counter() - started)
    return 1000 * statistics.median(times)


def main() -> None:
    """Print the medians."""
    with Stack() as stack:
        os.environ.update(MONGODB_URI=stack.mongodb_uri, POWERTOOLS_TRACE_DISABLED="true")
        from studio.http import HttpSettings, create_app, create_handler
        from studio.mongo import get_database

        app = create_app()
        app.get("/page")(lambda: {"text": "hello"})
        handler = create_handler(app)
        event = {
            "version": "2.0",
            "rawPath": "/page",
            "headers": {},
            "requestContext": {
                "requestId": "request-1",
                "stage": "$default",
                "http": {"method": "GET", "path": "/page"},
                "authorizer": {"lambda": {"user_id": "usr_1", "key_id": "key_1", "scopes": "grade"}},
            },
            "isBase64Encoded": False,
        }

        def request_ms(limit: int) -> float:
            os.environ["REQUESTS_PER_MINUTE"] = str(limit)
            HttpSettings.load.__func__.cache_clear()  # type: ignore[attr-defined]
            assert handler(event, Context())["statusCode"] == 200  # type: ignore[arg-type]
            return median_ms(lambda: handler(event, Context()))  # type: ignore[arg-type]

        ping = median_ms(lambda: get_database().command("ping"))
        # In turns, so that what else the machine does meets both.
        without, limited = zip(*((request_ms(0), request_ms(1_000_000)) for _ in range(3)), strict=True)
        added = min(limited) - min(without)
        verdict = "within" if added <= 1 else "OVER"
        print(f"a request's quota                    {added:7.2f} ms   {verdict} 1 ms; a ping takes {ping:.2f} ms")


if __name__ == "__main__":
    main()
