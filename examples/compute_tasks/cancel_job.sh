#!/usr/bin/env bash
# POST /compute-tasks/{job_id}/cancel: JOB_ID
set -euo pipefail

curl -sS --fail-with-body -X POST "$STUDIO_URL/compute-tasks/$1/cancel" -H "X-API-KEY: $STUDIO_API_KEY"
