#!/usr/bin/env bash
# POST /tone-mapping/auto-correct: PHOTO, uploaded first, and GRADED; prints the sliders that were chosen
set -euo pipefail

field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }

key=$("$(dirname "$0")/../uploads/create_upload.sh" "$1" | field image_key)
answer=$(curl -sS --fail-with-body "$STUDIO_URL/tone-mapping/auto-correct" \
  -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" \
  -d "{\"image_key\": \"$key\", \"output\": {\"delivery\": \"url\"}}")
curl -sS --fail-with-body -o "$2" "$(field image_url <<< "$answer")"

echo "$answer"
