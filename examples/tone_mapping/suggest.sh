#!/usr/bin/env bash
# POST /tone-mapping/suggest: [WORDS]; the sliders that they mean
set -euo pipefail

python3 -c 'import json, sys; print(json.dumps({"prompt": sys.argv[1]}))' "${1:-warmer, moody, lift the shadows}" |
  curl -sS --fail-with-body "$STUDIO_URL/tone-mapping/suggest" \
    -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" --data-binary @-
