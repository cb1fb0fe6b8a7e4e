#!/usr/bin/env bash
# POST /tone-mapping/apply-preset: PRESET_ID, PHOTO, up to 4 MB, and GRADED; automatic correction, then the look at 80 %
set -euo pipefail

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
{
  printf '{"preset_id": "%s", "strength": 80, "auto": true, "output": {"delivery": "inline"}, "image": "' "$1"
  base64 < "$2" | tr -d '\n'
  printf '"}'
} |
  curl -sS --fail-with-body "$STUDIO_URL/tone-mapping/apply-preset" \
    -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" \
    --data-binary @- --output "$answer"

python3 -c '
import base64, json, sys
graded = json.load(open(sys.argv[1]))
open(sys.argv[2], "wb").write(base64.b64decode(graded.pop("image")))
print(json.dumps(graded))' "$answer" "$3"
