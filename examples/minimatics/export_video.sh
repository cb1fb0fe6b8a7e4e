#!/usr/bin/env bash
# POST /minimatics/exportVideo: PROJECT_ID; a quick film of a project, as a job
set -euo pipefail

# With the key, curl's retries start no second job.
curl -sS --fail-with-body --retry 3 "$STUDIO_URL/minimatics/exportVideo" -H "X-API-KEY: $STUDIO_API_KEY" \
  -H "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)" \
  -H "Content-Type: application/json" -d '{"projectId": "'"$1"'", "size": "480p", "output": {"quality": "draft"}}'
