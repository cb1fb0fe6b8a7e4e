#!/usr/bin/env bash
# POST /tone-mapping/presets/import: FILE, a .cube, .3dl or Lightroom .xmp of up to 4 MB
set -euo pipefail

python3 -c 'import json, sys; print(json.dumps({"content": open(sys.argv[1], encoding="utf-8", errors="replace").read()}))' "$1" |
  curl -sS --fail-with-body "$STUDIO_URL/tone-mapping/presets/import" \
    -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" --data-binary @-
