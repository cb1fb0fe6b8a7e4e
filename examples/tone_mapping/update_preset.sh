#!/usr/bin/env bash
# PUT /tone-mapping/presets/{preset_id}: PRESET_ID NAME; replaces name, description and sliders
set -euo pipefail

curl -sS --fail-with-body -X PUT "$STUDIO_URL/tone-mapping/presets/$1" \
  -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" \
  -d '{"name": "'"$2"'", "description": "Cooler", "adjustments": {"temperature": -12}}'
