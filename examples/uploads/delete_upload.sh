#!/usr/bin/env bash
# DELETE /uploads/{upload_id}: UPLOAD_ID
set -euo pipefail

curl -sS --fail-with-body -X DELETE "$STUDIO_URL/uploads/$1" -H "X-API-KEY: $STUDIO_API_KEY"
