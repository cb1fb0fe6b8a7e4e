import subprocess
import sys
from pathlib import Path

import studio.minimatics

BEHIND_THE_API = {"api_models", "references", "repository", "service", "settings"}
MODULES = sorted({path.stem for path in Path(studio.minimatics.__path__[0]).glob("[a-z]*.py")} - BEHIND_THE_API)


def loaded_by(*modules: str) -> set[str]:
    imports = "; ".join(f"import studio.minimatics.{module}" for module in modules)
    program = f"import sys; {imports}; print(*sys.modules)"
    return set(subprocess.check_output([sys.executable, "-c", program], text=True).split())


def test_films_are_made_without_aws_database_or_web() -> None:
    assert not loaded_by(*MODULES) & {"boto3", "botocore", "pymongo", "aws_lambda_powertools", "starlette"}


def test_a_project_is_checked_and_planned_without_a_pixel() -> None:
    assert not loaded_by("models", "timeline", "segments", "subtitles") & {"numpy", "cv2", "PIL", "av"}
