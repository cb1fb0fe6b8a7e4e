#!/usr/bin/env bash
# POST /minimatics/projects: IMAGE_KEY; a film of one of your uploads, in and out again
set -euo pipefail

curl -sS --fail-with-body "$STUDIO_URL/minimatics/projects" \
  -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" \
  -d '{"name": "Fox", "size": "1080p", "fps": 25, "shots": [
        {"image_key": "'"$1"'", "duration_frames": 75, "motion": "ken_burns_in",
         "transition": {"type": "dissolve", "duration_frames": 12}, "caption": {"text": "Once upon a time"}},
        {"image_key": "'"$1"'", "duration_frames": 60, "motion": "ken_burns_out", "grade": {"auto": true}}]}'
