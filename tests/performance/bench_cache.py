"""What a cache hit costs next to a miss: a 12 MP JPEG, stored, through the service, on a real MongoDB and the local S3.

Run by ``just bench``. The local S3 is slower than S3 at small requests and faster at large ones.
"""

import os
from time import perf_counter

import cv2

from local.stack import Stack
from tests.performance.bench_tone_mapping import photo


def main() -> None:
    """Print the ratio."""
    with Stack() as stack:
        os.environ.update(
            AWS_ENDPOINT_URL=stack.aws_endpoint_url,
            AWS_ACCESS_KEY_ID="testing",
            AWS_SECRET_ACCESS_KEY="testing",
            AWS_DEFAULT_REGION="us-east-1",
            BUCKET_NAME=stack.bucket_name,
            MONGODB_URI=stack.mongodb_uri,
            POWERTOOLS_TRACE_DISABLED="true",
        )
        from studio import storage
        from studio.caller import Caller
        from studio.object_keys import upload_key
        from studio.tone_mapping import service
        from studio.tone_mapping.models import AutoCorrectRequest, OutputOptions

        caller = Caller(user_id="usr_" + "0" * 24, key_id="key_1", scopes=frozenset({"grade"}))
        key = upload_key(caller.user_id, "upl_1")
        jpeg = bytes(cv2.imencode(".jpg", photo(4000, 3000), [cv2.IMWRITE_JPEG_QUALITY, 90])[1])
        storage.write(key, jpeg, "image/jpeg", {})

        def seconds(strength: float) -> float:
            request = AutoCorrectRequest(image_key=key, strength=strength, output=OutputOptions(delivery="url"))
            started = perf_counter()
            service.auto_correct(caller, request, "request-1")
            return perf_counter() - started

        misses = [seconds(strength) for strength in (100, 99, 98, 97)]
        hits = list(map(seconds, (100, 99, 98, 97) * 3))
        miss, hit = min(misses), min(hits)
        share = f"{hit / miss:.1%} of a miss ({miss * 1000:.0f} ms)"
        print(f"cache hit, 12 MP                     {hit * 1000:7.1f} ms   {share}")


if __name__ == "__main__":
    main()
