#!/usr/bin/env bash
# POST /tone-mapping/bulk: all of your uploads, corrected automatically, 4 at once
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/tone-mapping/bulk" -H "X-API-KEY: $STUDIO_API_KEY" \
  -H "Content-Type: application/json" -d '{"all_uploads": true, "task_type": "auto_correct", "concurrency": 4}'
