"""What offloading costs on top of the work itself, and what a status poll costs: on the embedded stack.

Run by ``just bench``.
"""

import base64
import io
import secrets
from statistics import median
from time import perf_counter, sleep
from typing import Any

import httpx
import skimage.data
from PIL import Image

from local.stack import Stack

ROUTE = "/tone-mapping/adjust"


def photo() -> str:
    """Encode a small photograph: the cost of offloading does not depend on it."""
    buffer = io.BytesIO()
    Image.fromarray(skimage.data.coffee()).save(buffer, "JPEG")
    return base64.b64encode(buffer.getvalue()).decode()


def main() -> None:
    """Print the figures."""
    with Stack() as stack, httpx.Client(base_url=stack.url, timeout=60) as http:
        login = {"email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_hex(8)}
        http.post("/auth/register", json=login).raise_for_status()
        http.headers["X-API-KEY"] = http.post("/auth/login", json=login).json()["api_key"]
        image = photo()
        output = {"delivery": "url"}

        def post(**more: Any) -> tuple[float, Any]:
            body = {"image": image, "adjustments": {"exposure": 0.3}, "use_cache": False, "output": output, **more}
            started = perf_counter()
            answer = http.post(ROUTE, json=body).raise_for_status().json()
            return (perf_counter() - started) * 1000, answer

        for _ in range(3):  # both functions are warm then
            post()
            post(use_container=True, wait_for_result=True)
        bare = median(post()[0] for _ in range(25))
        offloaded = median(post(use_container=True, wait_for_result=True)[0] for _ in range(25))
        accepted = median(post(use_container=True)[0] for _ in range(15))
        job = post(use_container=True)[1]
        sleep(2)
        polls = []
        for _ in range(40):
            started = perf_counter()
            http.get(job["status_url"]).raise_for_status()
            polls.append((perf_counter() - started) * 1000)
        print(f"adjust in the request                {bare:7.1f} ms")
        print(f"adjust as a job, waited for          {offloaded:7.1f} ms   {offloaded - bare:+.1f} ms")
        print(f"adjust as a job, accepted            {accepted:7.1f} ms")
        print(f"status poll, whole round trip        {median(polls):7.1f} ms")


if __name__ == "__main__":
    main()
