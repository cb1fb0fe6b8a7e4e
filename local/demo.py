"""`python -m local demo`: one real photograph through the whole stack, as a client would send it."""

import base64
from pathlib import Path
from typing import Any

import httpx
import skimage.data
from PIL import Image

from local.__main__ import make_api_key
from local.layers import ROOT
from local.stack import Stack

OUT = ROOT / "out"


def run_demo() -> None:
    """Start the stack, register, correct a photograph, write pictures and the .cube to out/, stop."""
    OUT.mkdir(exist_ok=True)
    before = OUT / "before.jpg"
    # A cat by Stéfan van der Walt, CC0: a little dark, a little green.
    Image.fromarray(skimage.data.chelsea()).save(before, quality=95)
    print("starting the embedded stack: mongod, S3, the Lambda functions, the HTTP API", flush=True)
    with Stack() as stack, httpx.Client(base_url=stack.url, timeout=30) as http:
        print(f"it answers at {stack.url}: {http.get('/health').raise_for_status().text}")
        http.headers["X-API-KEY"] = make_api_key(stack.url)
        print("registered a user, and made an API key")
        graded = http.post("/tone-mapping/auto-correct", json={"image": _base64(before)}).raise_for_status().json()
        lut = http.post("/tone-mapping/lut", json={"adjustments": graded["adjustments"], "title": "Studio demo"})
        cube: str = lut.raise_for_status().json()["cube"]
    after = OUT / "after.jpg"
    after.write_bytes(base64.b64decode(graded["image"]))
    (OUT / "auto_correct.cube").write_text(cube)
    _side_by_side(before, after, OUT / "before_after.jpg")
    _report(graded)


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
    for name in ("before_after.jpg", "before.jpg", "after.jpg", "auto_correct.cube"):
        print(f"  out/{name}")
