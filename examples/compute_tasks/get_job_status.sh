#!/usr/bin/env bash
# GET /compute-tasks/{job_id}/status: PHOTO, up to 4 MB; starts a job with it and asks until it is over
set -euo pipefail

job=$({ printf '{"use_container": true, "image": "'; base64 < "$1" | tr -d '\n'; printf '"}'; } |
  curl -sS --fail-with-body "$STUDIO_URL/tone-mapping/auto-correct" \
    -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" --data-binary @- |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["job_id"])')

while true; do
  status=$(curl -sS --fail-with-body "$STUDIO_URL/compute-tasks/$job/status" -H "X-API-KEY: $STUDIO_API_KEY")
  case "$status" in *'"QUEUED"'* | *'"PROCESSING"'*) sleep 0.5 ;; *) break ;; esac
done
echo "$status"
