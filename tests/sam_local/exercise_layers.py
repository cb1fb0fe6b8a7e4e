"""Uses what the pruned layers still hold; test_layer_limits.py runs it in Lambda's image, on the layers alone."""

import io
import json
import os
from typing import Any

os.environ |= {
    "OPENCV_IO_ENABLE_OPENEXR": "1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "POWERTOOLS_TRACE_DISABLED": "true",
    "POWERTOOLS_SERVICE_NAME": "studio",
}


def exercise_numpy() -> None:
    import numpy as np

    matrix = np.random.default_rng(1).normal(size=(64, 64))
    assert np.allclose(np.linalg.inv(matrix) @ matrix, np.eye(64))
    assert np.linalg.svd(matrix)[1].shape == (64,)
    assert np.fft.ifft(np.fft.fft(matrix)).real.shape == (64, 64)
    assert np.polynomial.Polynomial.fit([0, 1, 2], [0, 1, 4], 2)(3.0).round(6) == 9
    np.random.RandomState(1).permutation(10)


def exercise_opencv() -> None:
    import cv2
    import cv2.typing
    import numpy as np

    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, 32:] = (40, 90, 200)
    for extension in (".jpg", ".png", ".webp", ".avif", ".tiff", ".hdr", ".exr", ".jp2"):
        pixels = picture.astype(np.float32) / 255 if extension in {".hdr", ".exr"} else picture
        ok, data = cv2.imencode(extension, pixels)
        assert ok, extension
        decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        assert decoded is not None, extension
        assert decoded.shape == picture.shape, extension
        assert abs(decoded[24, 48].astype(float) - pixels[24, 48]).max() < 30, extension
    for depth in (np.uint16, np.float32):
        decoded = cv2.imdecode(cv2.imencode(".tiff", picture.astype(depth))[1], cv2.IMREAD_UNCHANGED)
        assert decoded is not None
        assert decoded.dtype == depth
    assert cv2.resize(picture, (32, 24), interpolation=cv2.INTER_AREA).shape == (24, 32, 3)
    assert (cv2.LUT(picture, np.arange(255, -1, -1, np.uint8)) == 255 - picture).all()
    assert cv2.cvtColor(picture, cv2.COLOR_BGR2LAB).shape == picture.shape
    assert cv2.GaussianBlur(picture, (5, 5), 0).shape == picture.shape
    assert cv2.warpAffine(picture, np.eye(2, 3), (64, 48)).shape == picture.shape
    assert cv2.solve(np.eye(3), np.ones((3, 1)))[0]


def exercise_opencolorio() -> None:
    import numpy as np
    import PyOpenColorIO as ocio  # noqa: N813

    # A 3-D LUT that inverts, blue fastest.
    grid = np.linspace(1, 0, 33, dtype=np.float32)
    lut = ocio.Lut3DTransform(33)
    lut.setInterpolation(ocio.INTERP_TETRAHEDRAL)
    lut.setData(np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1).reshape(-1))
    config = ocio.Config.CreateRaw()
    processor = config.getProcessor(lut)
    pixels = np.random.default_rng(1).random((16, 16, 3), np.float32)
    graded = pixels.copy()
    processor.getDefaultCPUProcessor().apply(ocio.PackedImageDesc(graded, 16, 16, 3))
    assert np.allclose(graded, 1 - pixels, atol=1e-5)
    words = np.full((4, 4, 3), 1000, np.uint16)
    bits = processor.getOptimizedCPUProcessor(ocio.BIT_DEPTH_UINT16, ocio.BIT_DEPTH_UINT16, ocio.OPTIMIZATION_DEFAULT)
    description = ocio.PackedImageDesc(words, 4, 4, 3, ocio.BIT_DEPTH_UINT16, 2, 6, 24)
    bits.apply(description)
    assert (words == 64535).all()
    assert "LUT3D" in ocio.GroupTransform([lut]).write("Academy/ASC Common LUT Format", config)


def exercise_pillow() -> None:
    from PIL import Image, ImageChops, ImageCms, ImageOps

    picture = Image.effect_noise((64, 48), 50).convert("RGB")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "JPEG2000", "GIF", "BMP"):
        data = io.BytesIO()
        picture.save(data, kind, icc_profile=profile)
        with Image.open(data) as opened:
            assert opened.size == (64, 48), kind
            assert opened.format == kind
            opened.convert("RGB").load()
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "zstd", "lzma"):
        data = io.BytesIO()
        picture.save(data, "TIFF", compression=compression)
        Image.open(data).load()
    data = io.BytesIO()
    picture.convert("CMYK").save(data, "JPEG")
    assert Image.open(data).mode == "CMYK"
    lab = ImageCms.createProfile("LAB")
    assert ImageCms.profileToProfile(picture, ImageCms.createProfile("sRGB"), lab, outputMode="LAB") is not None
    assert ImageOps.exif_transpose(picture).size == (64, 48)
    assert ImageChops.difference(picture, picture).getbbox() is None
    picture.convert("P").convert("RGBA").quantize(16).resize((8, 8), Image.Resampling.LANCZOS)


def exercise_core() -> None:
    import boto3
    import bson
    import dns.resolver
    import pydantic
    import pymongo
    import wrapt
    from argon2 import PasswordHasher
    from aws_lambda_powertools import Logger, Metrics, Tracer
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
    from aws_lambda_powertools.utilities import parameters
    from aws_lambda_powertools.utilities.idempotency import idempotent_function
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from aws_xray_sdk.core import xray_recorder

    hasher = PasswordHasher(memory_cost=1024)
    assert hasher.verify(hasher.hash("secret"), "secret")
    assert bson.decode(bson.encode({"a": 1})) == {"a": 1}
    assert bson.has_c()
    assert pymongo.has_c()
    assert dns.resolver.Resolver(configure=False) is not None
    assert pymongo.MongoClient("mongodb://127.0.0.1:1", connect=False).get_database("studio").name == "studio"
    assert boto3.client("s3").meta.service_model.service_name == "s3"
    assert parameters.SecretsProvider() is not None
    assert idempotent_function is not None
    assert len(wrapt.ObjectProxy([1])) == 1
    assert pydantic.VERSION in pydantic.version.version_info()
    Logger().info("said")
    Metrics(namespace="Studio")
    tracer = Tracer()
    assert xray_recorder is not None

    class Sliders(pydantic.BaseModel):
        exposure: float = pydantic.Field(ge=-5, le=5)

    app = APIGatewayHttpResolver(enable_validation=True)
    app.enable_swagger(path="/swagger")

    @app.post("/grade")
    @tracer.capture_method
    def grade(sliders: Sliders) -> Sliders:
        return sliders

    def call(method: str, path: str, body: str = "") -> dict[str, Any]:
        event = {
            "version": "2.0",
            "rawPath": path,
            "headers": {"content-type": "application/json"},
            "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
            "body": body,
        }
        return app.resolve(event, LambdaContext())

    assert call("POST", "/grade", '{"exposure": 1}')["statusCode"] == 200
    assert call("POST", "/grade", '{"exposure": 9}')["statusCode"] == 422
    assert "swagger" in call("GET", "/swagger")["body"].lower()
    assert "/grade" in json.loads(app.get_openapi_json_schema())["paths"]


def exercise_openai() -> None:
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    import httpx2
    import openai
    from pydantic import BaseModel

    class Sliders(BaseModel):
        exposure: float

    part = {"type": "output_text", "text": '{"exposure": 0.5}', "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    response = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "output": [message]}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            is_known = asked["model"] == "a-model"
            body = json.dumps(response if is_known else {"error": {"code": "model_not_found"}}).encode()
            self.send_response(200 if is_known else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    client = openai.OpenAI(api_key="any", base_url=url, max_retries=0, timeout=openai.Timeout(5, connect=1))
    content: Any = [{"role": "user", "content": [{"type": "input_text", "text": "brighter"}]}]
    answer = client.responses.parse(model="a-model", input=content, text_format=Sliders, store=False)
    assert answer.output_parsed == Sliders(exposure=0.5)
    code = None
    try:
        client.responses.parse(model="another", input=content, text_format=Sliders)
    except openai.NotFoundError as error:
        code = error.code
    assert code == "model_not_found"
    server.shutdown()
    assert httpx2.Client(verify=True) is not None  # it finds its certificates


if __name__ == "__main__":
    exercise_core()
    exercise_openai()
    exercise_numpy()
    exercise_opencv()
    exercise_opencolorio()
    exercise_pillow()
    print("every library works")
