#!/usr/bin/env bash
# GET /compute-tasks/{job_id}/result: JOB_ID
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/compute-tasks/$1/result" -H "X-API-KEY: $STUDIO_API_KEY"
