"""The images of Batch jobs: what each is made of, and the tag that follows from it."""

import hashlib
import io
import re
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from local.layers import ROOT


@dataclass(frozen=True)
class Image:
    """The image that the Dockerfile of a folder makes, with a root as its context.

    Parameters
    ----------
    folder
        Relative to the root: `statemachines/<name>/container`.
    root
        The repository's.
    """

    folder: Path
    root: Path = ROOT

    @property
    def name(self) -> str:
        """Its state machine's: `run_task`."""
        return self.folder.parent.name

    @property
    def resource(self) -> str:
        """What names in the template begin with: `RunTask`."""
        return self.name.title().replace("_", "")

    @property
    def tag_parameter(self) -> str:
        """Its parameter of the template."""
        return f"{self.resource}ImageTag"

    @property
    def repository_output(self) -> str:
        """Its output of the stack."""
        return f"{self.resource}RepositoryUri"

    @property
    def dockerfile(self) -> Path:
        """Relative to the root."""
        return self.folder / "Dockerfile"

    @cached_property
    def files(self) -> list[Path]:
        """The Dockerfile and all that it copies, relative to the root, in order."""
        found = {self.dockerfile}
        for line in re.findall(r"^(?:COPY|ADD)\s+(.+)$", (self.root / self.dockerfile).read_text(), re.MULTILINE):
            *sources, _ = line.split()
            if not sources or any(source.startswith("-") for source in sources) or line.endswith("\\"):
                raise ValueError(f"{self.dockerfile}: not understood, so that the tag would not follow it: COPY {line}")
            for source in sources:
                found |= {path.relative_to(self.root) for path in _files_of(self.root / source)}
        return sorted(found)

    @cached_property
    def tag(self) -> str:
        """A digest of the files, of their paths and their contents."""
        digest = hashlib.sha256()
        for path in self.files:
            content = hashlib.sha256((self.root / path).read_bytes()).hexdigest()
            digest.update(f"{path.as_posix()} {content}\n".encode())
        return digest.hexdigest()[:16]

    def archive(self) -> bytes:
        """Return the files as a zip, which is all of a context that the image needs."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in self.files:
                entry = zipfile.ZipInfo(path.as_posix())
                # Whatever the umask was here: the container's user must be able to read them.
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, (self.root / path).read_bytes(), zipfile.ZIP_DEFLATED)
        return buffer.getvalue()


def list_images() -> list[Image]:
    """Return every image that there is a Dockerfile of."""
    dockerfiles = sorted(ROOT.glob("statemachines/*/container/Dockerfile"))
    return [Image(dockerfile.parent.relative_to(ROOT)) for dockerfile in dockerfiles]


def _files_of(source: Path) -> list[Path]:
    if not source.exists():
        raise FileNotFoundError(f"a Dockerfile copies {source}, which is not there")
    if source.is_file():
        return [source]
    # As .dockerignore has it.
    return [path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
