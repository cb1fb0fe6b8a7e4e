#!/usr/bin/env bash
# POST /tone-mapping/presets: NAME; a warm, soft look of your own
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/tone-mapping/presets" \
  -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" \
  -d '{"name": "'"$1"'", "adjustments": {"temperature": 12, "contrast": -8, "shadows": 15}}'
