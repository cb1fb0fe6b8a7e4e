#!/usr/bin/env bash
# POST /tone-mapping/auto-correct: PHOTO GRADED; prints the sliders that were chosen
set -euo pipefail

answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
# The body goes through a pipe: a photograph is too long for an argument.
{ printf '{"image": "'; base64 < "$1" | tr -d '\n'; printf '", "output": {"delivery": "inline"}}'; } |
  curl -sS --fail-with-body "$STUDIO_URL/tone-mapping/auto-correct" \
    -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" \
    --data-binary @- --output "$answer"

python3 -c '
import base64, json, sys
graded = json.load(open(sys.argv[1]))
open(sys.argv[2], "wb").write(base64.b64decode(graded.pop("image")))
print(json.dumps(graded))' "$answer" "$2"
