"""What the fuzz targets share: ``python -m tests.fuzz.<target> SECONDS``, by ``just fuzz``.

Inputs that found new paths are kept in ``.local/fuzz/<target>``; one that breaks the target is written to ``out/`` and
printed. It becomes a case of the unit tests.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]


def run(target: str, test: Callable[[bytes], None], seeds: Mapping[str, bytes], longest: int) -> None:
    """Feed a target with what its coverage leads to, for as many seconds as the command line says.

    Parameters
    ----------
    target
        Names its folders.
    test
        Raises for a defect.
    seeds
        Good inputs, to begin with.
    longest
        Bytes that an input may have.
    """
    corpus, findings = ROOT / ".local/fuzz" / target, ROOT / "out"
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for name, seed in seeds.items():
        (corpus / f"seed-{name}").write_bytes(seed)
    atheris.Setup(
        [
            *(sys.argv[0], str(corpus), f"-max_total_time={sys.argv[1]}", f"-max_len={longest}"),
            *("-timeout=10", "-rss_limit_mb=1000", f"-artifact_prefix={findings}/{target}-", "-print_final_stats=1"),
        ],
        test,
    )
    atheris.Fuzz()
