"""What bulk grading makes of the cores: 500 photographs by the state machine, next to a bare loop over the pipeline.

Run by ``python -m tests.performance.bench_bulk``; it takes minutes. A first run is cancelled midway.
"""

import os
import secrets
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from time import perf_counter, sleep
from typing import Any

import cv2
import httpx

from local.stack import Stack
from studio.object_keys import upload_key
from studio.tone_mapping.pipeline import automatic, grade_image
from tests.performance.bench_tone_mapping import encoded, photo

COUNT = 500
CORES = os.cpu_count() or 1
LOOK_SECONDS = 2  # the client's looks at the status take of the same cores


def photographs() -> list[bytes]:
    """Encode ten of twelve megapixels, which differ."""
    picture = photo(4000, 3000)
    return [encoded(cv2.convertScaleAbs(picture, alpha=1 + number / 40)) for number in range(10)]


def grade(jpeg: bytes) -> int:
    """Grade one in the bare loop."""
    return len(grade_image(jpeg, automatic(100)).data or b"")


def bare_loop(files: list[bytes]) -> float:
    """Return the photographs a second of one process a core, which do nothing but grade."""
    with ProcessPoolExecutor(CORES) as pool:
        list(pool.map(grade, files[:CORES] * 2))  # warm
        started = perf_counter()
        sizes = list(pool.map(grade, (files[number % len(files)] for number in range(COUNT))))
        assert all(sizes)
        return COUNT / (perf_counter() - started)


@contextmanager
def signed_in(stack: Stack) -> Iterator[tuple[httpx.Client, str]]:
    """Register a user."""
    with httpx.Client(base_url=stack.url, timeout=60) as http:
        login = {"email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_hex(8)}
        user_id = http.post("/auth/register", json=login).raise_for_status().json()["user_id"]
        http.headers["X-API-KEY"] = http.post("/auth/login", json=login).json()["api_key"]
        yield http, user_id


def submit(http: httpx.Client) -> str:
    """Start grading all uploads, and return the URL of the job's status."""
    body = {"all_uploads": True, "task_type": "auto_correct", "concurrency": CORES, "parameters": {"use_cache": False}}
    url: str = http.post("/tone-mapping/bulk", json=body).raise_for_status().json()["status_url"]
    return url


def wait(http: httpx.Client, url: str, percent: float) -> Any:
    """Wait until the job is that far."""
    while True:
        job = http.get(url).raise_for_status().json()
        print(f"\r  {job['progress']['percent']:5.1f} %  {job['progress']['stage'] or ''}   ", end="", flush=True)
        if job["status"] in ("COMPLETED", "FAILED", "CANCELLED") or job["progress"]["percent"] >= percent:
            print("\r", end="")
            return job
        sleep(LOOK_SECONDS)


def main() -> None:
    """Print the figures."""
    files = photographs()
    with Stack() as stack, signed_in(stack) as (http, user_id):
        s3 = stack.client("s3")
        for number in range(COUNT):
            key = upload_key(user_id, f"upl_{number:024x}")
            s3.put_object(Bucket=stack.bucket_name, Key=key, Body=files[number % len(files)])
        bare = bare_loop(files)
        print(f"bare loop, {CORES} processes          {bare:6.2f} photographs/s")

        url = submit(http)
        wait(http, url, 40)
        started = perf_counter()
        http.post(url.replace("/status", "/cancel")).raise_for_status()
        cancelled = http.get(url).json()
        sleep(3)
        done = s3.list_objects_v2(Bucket=stack.bucket_name, Prefix=f"users/{user_id}/results/")["KeyCount"]
        sleep(3)
        later = s3.list_objects_v2(Bucket=stack.bucket_name, Prefix=f"users/{user_id}/results/")["KeyCount"]
        print(
            f"cancelled at {cancelled['progress']['percent']:.0f} %: {cancelled['status']}, "
            f"{done} results; 3 s later {later}"
        )
        assert later == done, f"compute went on after {perf_counter() - started:.1f} s"

        job = wait(http, submit(http), 101)
        rate = COUNT / (job["queue_seconds"] + job["run_seconds"])
        counts = http.get(job["result_url"]).raise_for_status().json()["counts"]
        print(f"bulk grading, concurrency {CORES}      {rate:6.2f} photographs/s   {rate / bare:.2f} x the bare loop")
        print(f"  {job['status']}, {counts}; queue {job['queue_seconds']:.1f} s, run {job['run_seconds']:.1f} s")


if __name__ == "__main__":
    main()
