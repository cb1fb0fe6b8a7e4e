#!/usr/bin/env bash
# POST /tone-mapping/bulk: all of your uploads, corrected automatically, 4 at once
set -euo pipefail

# With the key, curl's retries start no second job.
curl -sS --fail-with-body --retry 3 "$STUDIO_URL/tone-mapping/bulk" -H "X-API-KEY: $STUDIO_API_KEY" \
  -H "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)" \
  -H "Content-Type: application/json" -d '{"all_uploads": true, "task_type": "auto_correct", "concurrency": 4}'
