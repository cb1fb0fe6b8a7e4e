#!/usr/bin/env bash
# GET /tone-mapping/presets/{preset_id}: PRESET_ID
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/tone-mapping/presets/$1" -H "X-API-KEY: $STUDIO_API_KEY"
