#!/usr/bin/env bash
# DELETE /minimatics/projects/{project_id}: PROJECT_ID
set -euo pipefail

curl -sS --fail-with-body -X DELETE "$STUDIO_URL/minimatics/projects/$1" -H "X-API-KEY: $STUDIO_API_KEY"
