"""Rebuild the training photographs from their sources: ``collect.py --out DIR --debs DIR [--download] GIT_FOLDER...``.

A GIT_FOLDER is a clone with history (or bare mirror) of a repository of the manifest; a picture is found by its blob
id, so neither order nor names matter. Packages of two Debian releases are used: have both in the apt sources. Every
original is checked against its SHA-256. Two sources need the package pillow-jxl-plugin (JPEG XL).
"""

import argparse
import csv
import hashlib
import importlib
import io
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image, ImageCms, ImageOps

SIDE = 768


def convert(original: bytes) -> Image.Image:
    """Turn upright, convert to sRGB, shrink to `SIDE` at most."""
    image: Any = Image.open(io.BytesIO(original))
    image.load()
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA", "P", "PA"):
        image = image.convert("RGBA").convert("RGB")
    if image.mode == "L":
        image, profile = image.convert("RGB"), None
    if profile:
        # A profile of other channels than the picture's is as good as none.
        with suppress(ImageCms.PyCMSError):
            image = ImageCms.profileToProfile(
                image,
                ImageCms.ImageCmsProfile(io.BytesIO(profile)),
                ImageCms.createProfile("sRGB"),
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                outputMode="RGB",
                flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
    converted: Image.Image = image.convert("RGB")
    converted.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return converted


def from_resources(archive: bytes, wanted: str) -> bytes | None:
    """Take one file out of a Qt resource archive, whose entries are stored or deflated."""
    version, tree, data, names = struct.unpack(">4I", archive[4:20])
    size = 22 if version >= 2 else 14

    def name(offset: int) -> str:
        length = struct.unpack(">H", archive[names + offset : names + offset + 2])[0]
        return archive[names + offset + 6 : names + offset + 6 + 2 * length].decode("utf-16-be")

    def walk(entry: int, parent: str) -> Iterator[bytes]:
        at = tree + entry * size
        offset, flags = struct.unpack(">IH", archive[at : at + 6])
        path = f"{parent}/{name(offset)}" if entry else ""
        if flags & 2:
            count, first = struct.unpack(">II", archive[at + 6 : at + 14])
            for child in range(first, first + count):
                yield from walk(child, path)
        elif path == wanted:
            start = data + struct.unpack(">I", archive[at + 10 : at + 14])[0]
            length = struct.unpack(">I", archive[start : start + 4])[0]
            body = archive[start + 4 : start + 4 + length]
            yield zlib.decompress(body[4:]) if flags & 1 else body

    return next(walk(0, ""), None)


class Packages:
    """Debian packages, unpacked once each."""

    def __init__(self, folder: Path, download: bool, scratch: Path) -> None:
        self._folder, self._download, self._scratch = folder, download, scratch
        self._roots: dict[tuple[str, str], Path | None] = {}

    def read(self, package: str, version: str, path: str) -> bytes | None:
        """Read a file of a package; ``outer!inner`` is a file in a Qt resource archive."""
        if (package, version) not in self._roots:
            self._roots[package, version] = self._unpack(package, version)
        root = self._roots[package, version]
        outer, _, inner = path.partition("!")
        if root is None or not (root / outer).is_file():
            return None
        content = (root / outer).read_bytes()
        return from_resources(content, inner) if inner else content

    def _unpack(self, package: str, version: str) -> Path | None:
        pattern = f"{package}_{version.replace(':', '%3a')}_*.deb"
        if self._download and not any(self._folder.glob(pattern)):
            subprocess.run(["apt-get", "download", f"{package}={version}"], cwd=self._folder, check=False)
        found = sorted(self._folder.glob(pattern))
        if not found:
            return None
        target = self._scratch / f"{package}_{len(self._roots)}"
        subprocess.run(["dpkg", "-x", str(found[0]), str(target)], check=True)
        return target


def from_git(folders: list[str], blob: str) -> bytes | None:
    """Read a blob from the first repository that has it."""
    environment = dict(os.environ, GIT_NO_LAZY_FETCH="1")
    for folder in folders:
        done = subprocess.run(
            ["git", "-C", folder, "cat-file", "blob", blob], capture_output=True, env=environment, check=False
        )
        if done.returncode == 0:
            return done.stdout
    return None


def main() -> int:
    """Run from the command line; 1 where a photograph is missing or differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=Path, default=Path(__file__).with_name("manifest.csv"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--debs", type=Path, default=Path())
    parser.add_argument("--download", action="store_true", help="get missing packages by apt-get download")
    parser.add_argument("git", nargs="*")
    arguments = parser.parse_args()
    with suppress(ImportError):
        importlib.import_module("pillow_jxl")
    Image.MAX_IMAGE_PIXELS = None  # the originals are known by their hashes
    for folder in (arguments.out, arguments.debs):
        folder.mkdir(parents=True, exist_ok=True)
    made = failed = 0
    with tempfile.TemporaryDirectory() as scratch, arguments.manifest.open(newline="", encoding="utf-8") as lines:
        packages = Packages(arguments.debs, arguments.download, Path(scratch))
        for row in csv.DictReader(lines):
            kind, name = row["source"].split(":", 1)
            if kind == "debian":
                original = packages.read(name, row["version"], row["path"])
            else:
                original = from_git(arguments.git, row["blob"])
            if original is None or hashlib.sha256(original).hexdigest() != row["sha256"]:
                failed += 1
                print("missing" if original is None else "differs", row["source"], row["version"], row["path"])
            else:
                convert(original).save(arguments.out / row["file"], quality=95, subsampling=0)
                made += 1
    print(f"{made} photographs, {failed} missing or different")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
