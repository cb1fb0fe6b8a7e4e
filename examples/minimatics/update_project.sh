#!/usr/bin/env bash
# PUT /minimatics/projects/{project_id}: PROJECT_ID VERSION IMAGE_KEY; replaces all of it, if VERSION is still the latest
set -euo pipefail

curl -sS --fail-with-body -X PUT "$STUDIO_URL/minimatics/projects/$1" \
  -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" \
  -d '{"name": "Fox, in short", "version": '"$2"', "shots": [{"image_key": "'"$3"'", "duration_frames": 48}]}'
