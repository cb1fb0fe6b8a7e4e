#!/usr/bin/env bash
# GET /tone-mapping/presets/{preset_id}/cube: PRESET_ID; the .cube on standard output
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/tone-mapping/presets/$1/cube?size=17" -H "X-API-KEY: $STUDIO_API_KEY"
