"""Exports at length, `just test-exports`: ten whose containers are killed at random, or a film of three minutes.

``--kills N`` exports one small film N times, and kills its containers by SIGKILL meanwhile; all must be identical to
the film that one process renders. ``--long`` exports a film of 40 shots and 3 minutes at 1080p, two segments at a time.
"""

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from local.stack import Stack
from tests.api.test_export import EXPORT, FINAL, Exports
from tests.conftest import User
from tests.performance.bench_export import write_photographs
from tests.unit.minimatics import judge

SHOTS, SHOT_FRAMES, DISSOLVE_FRAMES = 40, 120, 12


@contextmanager
def new_user(stack: Stack) -> Iterator[User]:
    """Register a user."""
    with httpx.Client(base_url=stack.url, timeout=60) as http:
        login = {"email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_hex(8)}
        user_id = http.post("/auth/register", json=login).raise_for_status().json()["user_id"]
        key = http.post("/auth/login", json=login).raise_for_status().json()
        http.headers["X-API-KEY"] = key["api_key"]
        yield User(http, user_id, login["email"], login["password"], key["api_key"], key["key_id"])


def kill_at_random(exports: Exports, job_id: str, chance: random.Random) -> Counter[str]:
    """Kill a job's containers until it is over; none more than twice, for the third attempt is the last."""
    kills: Counter[str] = Counter()
    while exports.status(job_id)["status"] not in FINAL:
        time.sleep(chance.uniform(0.5, 4))
        containers = exports.stack.pids["containers"]
        if living := [name for name in containers if name.startswith(job_id) and kills[name] < 2]:
            name = chance.choice(sorted(living))
            with suppress(ProcessLookupError):
                os.kill(containers[name], signal.SIGKILL)
                kills[name] += 1
    return Counter({name.removeprefix(f"{job_id}-"): count for name, count in kills.items()})


def export_with_kills(count: int, seed: int) -> bool:
    """Return whether all films are the one that a process alone makes."""
    chance, right = random.Random(seed), 0
    stack = Stack(parameters={"ExportSegmentSeconds": "0.7"})
    with TemporaryDirectory() as folder, stack, new_user(stack) as user:
        exports = Exports(stack, user, Path(folder))
        expected = judge.frame_hashes(exports.rendered_here())
        for number in range(count):
            started, job_id = time.monotonic(), exports.submit()
            kills = kill_at_random(exports, job_id, chance)
            job = exports.status(job_id)
            film = exports.download(job) if job["status"] == "COMPLETED" else None
            is_right = film is not None and judge.frame_hashes(film) == expected
            right += is_right
            print(
                f"export {number + 1}: {job['status']}, {dict(kills)} killed, "
                f"{'identical' if is_right else f'WRONG: {job}'}, {time.monotonic() - started:.0f} s",
                flush=True,
            )
    print(f"{right} of {count} films identical to that of one process (bar: all)")
    return right == count


def long_film(exports: Exports) -> dict[str, Any]:
    """Return a film of ordinary moves and dissolves."""
    motions = ["ken_burns_in", "pan_right", "ken_burns_out", "pan_left", "hold"]
    shots = [
        {
            "image_key": exports.images[number % 3],
            "duration_frames": SHOT_FRAMES,
            "motion": motions[number % 5],
            "transition": {"type": "dissolve", "duration_frames": DISSOLVE_FRAMES},
            "caption": {"text": f"Shot {number + 1}"} if number % 2 else None,
            "grade": {"auto": True} if number % 3 == 0 else None,
        }
        for number in range(SHOTS)
    ]
    shots[-1]["transition"] = {"type": "cut"}
    audio = [{"audio_key": exports.sound, "start_seconds": 4 * number, "role": "music"} for number in range(40)]
    return {"size": "1080p", "fps": 24, "shots": shots, "audio": audio}


def export_long_film() -> bool:
    """Return whether a film of three minutes is right to ffprobe and was made by two containers at once."""
    frames = SHOTS * SHOT_FRAMES - (SHOTS - 1) * DISSOLVE_FRAMES
    with TemporaryDirectory() as name, Stack() as stack, new_user(stack) as user:
        folder = Path(name)
        exports = Exports(stack, user, folder)
        write_photographs(folder)
        for number, photo in enumerate(("coffee", "astronaut", "chelsea")):
            exports.upload(number, (folder / f"{photo}.jpg").read_bytes())
        url = f"/minimatics/projects/{exports.project_id}"
        user.http.put(url, json=long_film(exports)).raise_for_status()
        plan = user.http.post(EXPORT, json={"projectId": exports.project_id, "dry_run": True}).raise_for_status().json()
        print(
            f"{plan['frames']} frames, {len(plan['segments'])} segments, {plan['estimate']['core_seconds']:.0f} core s"
        )
        started, job_id, at_once = time.monotonic(), exports.submit(), 0
        while (job := exports.status(job_id))["status"] not in FINAL:
            at_once = max(at_once, len(exports.pids(job_id)))
            print(f"{time.monotonic() - started:5.0f} s  {job['progress']}", flush=True)
            time.sleep(10)
        took = time.monotonic() - started
        if job["status"] != "COMPLETED":
            print(job)
            return False
        film = exports.download(job)
        probe = ["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v", "-show_streams", "-of", "json"]
        told = subprocess.run([*probe, str(film)], check=True, capture_output=True)
        [stream] = json.loads(told.stdout)["streams"]
        counted, errors = int(stream["nb_read_frames"]), told.stderr.decode()
        print(f"{took:.0f} s, {frames / took:.1f} frames/s, {at_once} containers at once")
        print(f"{counted} frames decoded (bar {frames}), errors: {errors or 'none'}")
        return counted == frames and at_once == 2 and not errors


def main() -> int:
    """Do what the command line says, or both."""
    parser = argparse.ArgumentParser(prog="just test-exports", description=__doc__)
    parser.add_argument("--kills", type=int, default=10, metavar="N", help="exports with kills (10)")
    parser.add_argument("--seed", type=int, default=1, help="of what is killed when (1)")
    parser.add_argument("--long", action="store_true", help="the film of three minutes instead")
    options = parser.parse_args()
    is_right = export_long_film() if options.long else export_with_kills(options.kills, options.seed)
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
