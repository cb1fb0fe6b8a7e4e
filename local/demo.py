"""`python -m local demo`: photographs through the whole stack, as a client would send them: one graded, two a film."""

import base64
import io
import time
import wave
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import skimage.data
from PIL import Image

from local.layers import ROOT
from local.stack import Stack
from local.users import make_api_key

OUT = ROOT / "out"
CHORD = (220, 277.18, 329.63)  # Hz: A major


def run_demo() -> None:
    """Start the stack, register, correct a photograph, export a film, write all that comes of it to out/, stop."""
    OUT.mkdir(exist_ok=True)
    before = OUT / "before.jpg"
    # A cat by Stéfan van der Walt, CC0: a little dark, a little green.
    Image.fromarray(skimage.data.chelsea()).save(before, quality=95)
    print("starting the embedded stack: mongod, S3, the Lambda functions, the HTTP API", flush=True)
    with Stack(parameters={"ExportSegmentSeconds": "2"}) as stack, httpx.Client(base_url=stack.url, timeout=30) as http:
        print(f"it answers at {stack.url}: {http.get('/health').raise_for_status().text}")
        http.headers["X-API-KEY"] = make_api_key(stack.url)
        print("registered a user, and made an API key")
        graded = http.post("/tone-mapping/auto-correct", json={"image": _base64(before)}).raise_for_status().json()
        lut = http.post("/tone-mapping/lut", json={"adjustments": graded["adjustments"], "title": "Studio demo"})
        cube: str = lut.raise_for_status().json()["cube"]
        export(http)
    after = OUT / "after.jpg"
    after.write_bytes(base64.b64decode(graded["image"]))
    (OUT / "auto_correct.cube").write_text(cube)
    _side_by_side(before, after, OUT / "before_after.jpg")
    _report(graded)


def export(http: httpx.Client) -> None:
    """Make a film of two photographs, with camera moves, a dissolve, captions and a sound."""
    photographs = [_upload(http, _jpeg(pixels)) for pixels in (skimage.data.chelsea(), skimage.data.astronaut())]
    shots = [
        {
            "image_key": photographs[0],
            "duration_frames": 72,
            "motion": "ken_burns_in",
            "grade": {"auto": True},
            "transition": {"type": "dissolve", "duration_frames": 18},
            "caption": {"text": "Chelsea dreams"},
        },
        {
            "image_key": photographs[1],
            "duration_frames": 72,
            "motion": {"from": {"x": 0.45, "y": 0.6, "zoom": 1.6}, "to": {"y": 0.25, "zoom": 1.1}},
            "caption": {"text": "of the stars"},
        },
    ]
    sound = {"audio_key": _upload(http, _chord(6)), "role": "music", "fade_in_seconds": 1, "fade_out_seconds": 2}
    project = {"name": "Demo", "size": "720p", "fps": 24, "shots": shots, "audio": [sound]}
    made = http.post("/minimatics/projects", json=project).raise_for_status().json()
    job = http.post("/minimatics/exportVideo", json={"projectId": made["project_id"]}).raise_for_status().json()
    print("\nPOST /minimatics/exportVideo: Step Functions, and a Batch container a segment")
    told = ""
    while (job := http.get(f"/compute-tasks/{job['job_id']}/status").raise_for_status().json())["status"] in (
        "QUEUED",
        "PROCESSING",
    ):
        progress = job["progress"]
        if progress["stage"] != told:
            told = progress["stage"]
            print(f"  {progress['percent']:3.0f} %  {told}", flush=True)
        time.sleep(0.25)
    if job["status"] != "COMPLETED":
        raise SystemExit(f"the export has ended as {job['status']}: {job['error']}")
    film = http.get(job["result_url"]).raise_for_status().json()
    (OUT / "film.mp4").write_bytes(httpx.get(film["film_url"]).raise_for_status().content)
    print(f"  {film['frames']} frames, {film['duration_seconds']:.2f} s, {film['size_bytes']:,} bytes")


def _upload(http: httpx.Client, data: bytes) -> str:
    form = http.post("/uploads", json={"content_type": "application/octet-stream"}).raise_for_status().json()
    httpx.post(form["url"], data=form["fields"], files={"file": data}).raise_for_status()
    key: str = form["image_key"]
    return key


def _jpeg(pixels: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _chord(seconds: float) -> bytes:
    """Return a WAV of tones that beat slowly."""
    rate = 48_000
    times = np.arange(round(seconds * rate)) / rate
    tones = [
        np.sin(2 * np.pi * hertz * times) * (1 + 0.3 * np.sin(2 * np.pi * times * n)) for n, hertz in enumerate(CHORD)
    ]
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.mean(tones, axis=0) * 0.4 * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _side_by_side(left: Path, right: Path, target: Path) -> None:
    with Image.open(left) as one, Image.open(right) as two:
        both = Image.new("RGB", (one.width + two.width + 8, one.height), "white")
        both.paste(one, (0, 0))
        both.paste(two, (one.width + 8, 0))
        both.save(target, quality=92)


def _report(graded: dict[str, Any]) -> None:
    print(f"\nPOST /tone-mapping/auto-correct chose, with confidence {graded['confidence']:.2f}:")
    for name, value in graded["adjustments"].items():
        if isinstance(value, float) and value:
            print(f"  {name:12} {value:+.2f}")
    print("because:")
    for step in graded["steps"]:
        print(f"  {'*' if step['applied'] else ' '} {step['name']}: {step['reason']}")
    timings = ", ".join(f"{name} {value:.1f}" for name, value in graded["timings_ms"].items())
    print(f"milliseconds: {timings}")
    print("\nlook at:")
    for name in ("before_after.jpg", "before.jpg", "after.jpg", "auto_correct.cube", "film.mp4"):
        print(f"  out/{name}")
