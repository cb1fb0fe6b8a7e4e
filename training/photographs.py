"""Which photographs of the manifest train, and which are kept out to judge by."""

import csv
import hashlib
from pathlib import Path

MANIFEST = Path(__file__).with_name("manifest.csv")

# Whole sources, so that no photographer, camera or hand at the retouch is on both sides.
HELD_OUT = (
    "git:KDE/plasma-workspace-wallpapers",
    "git:LukeSmithxyz/based.cooking",
    "git:elementary/wallpapers",
    "git:getsolus/artwork",
    "git:openSUSE/wallpapers",
)
# Head shots of one style: more of them would make that style the norm.
MOST = {"git:presidential-innovation-fellows/pif-website": 45, "git:18F/18f.gsa.gov": 35}


def listed(held_out: bool) -> list[str]:
    """Return file names, in the order of their hashes: those kept out, or those to train on."""
    taken: dict[str, int] = {}
    names = []
    with MANIFEST.open(newline="", encoding="utf-8") as lines:
        rows = sorted(csv.DictReader(lines), key=lambda row: hashlib.sha256(row["file"].encode()).hexdigest())
    for row in rows:
        source = row["source"]
        if (source in HELD_OUT) != held_out or taken.get(source, 0) >= MOST.get(source, len(rows)):
            continue
        taken[source] = taken.get(source, 0) + 1
        names.append(row["file"])
    return names
