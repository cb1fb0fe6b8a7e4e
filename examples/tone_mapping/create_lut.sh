#!/usr/bin/env bash
# POST /tone-mapping/lut: sliders as a .cube file, on standard output
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/tone-mapping/lut" \
  -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" \
  -d '{"adjustments": {"exposure": 0.5, "contrast": 10}, "size": 17}' |
  python3 -c 'import json, sys; sys.stdout.write(json.load(sys.stdin)["cube"])'
