#!/usr/bin/env bash
# POST /minimatics/projects/{project_id}/duplicate: PROJECT_ID NAME
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/minimatics/projects/$1/duplicate" \
  -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" -d '{"name": "'"$2"'"}'
