#!/usr/bin/env bash
# POST /uploads, then send the file: JPEG; prints the answer, whose image_key names the file from then on
set -euo pipefail

answer=$(curl -sS --fail-with-body "$STUDIO_URL/uploads" \
  -H "X-API-KEY: $STUDIO_API_KEY" -H "Content-Type: application/json" \
  -d "{\"content_type\": \"image/jpeg\", \"size_bytes\": $(wc -c < "$1")}")

# Every field of the form, in a file that curl reads; the file itself comes last.
form=$(python3 -c '
import json, sys
for name, value in json.loads(sys.argv[1])["fields"].items():
    print("form-string = " + json.dumps(f"{name}={value}"))' "$answer")
url=$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["url"])' "$answer")
curl -sS --fail-with-body --config <(echo "$form") --form "file=@$1" "$url"

echo "$answer"
