"""Names that rebind, resolved by the real resolver from a real DNS server, in a network of their own: see rebinding."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import write_certificate

ROOT = Path(__file__).parents[2]
IN_NAMESPACES = ["unshare", "--user", "--map-root-user", "--mount", "--net"]

HOST = "a.rebinding.example"
OTHER = "b.rebinding.example"
PUBLIC, PUBLIC_6 = "8.8.8.8", "2606:4700::1111"
LOOPBACK, PRIVATE, METADATA, METADATA_6 = "127.0.0.1", "10.0.0.1", "169.254.169.254", "fd00:ec2::254"

URL = f"https://{HOST}/"
REFUSED = f"the URL cannot be used: {HOST} is not a public address"
OTHER_REFUSED = f"the URL cannot be used: {OTHER} is not a public address"


@dataclass(frozen=True)
class Case:
    """What DNS answers about each name, one list a question; what is called; what comes of it, and who is reached."""

    names: dict[str, list[list[str]]]
    calls: list[str]
    came_to: list[str]
    connected: list[str]
    asked: dict[str, int]


def one_name(answers: list[list[str]], came_to: str, connected: list[str]) -> Case:
    """Fetch by a name; it is resolved once, whatever comes of it."""
    return Case({HOST: answers}, [f"fetch {URL}"], [came_to], connected, {HOST: 1})


CASES = {
    "to loopback": one_name([[PUBLIC], [LOOPBACK]], PUBLIC, [PUBLIC]),
    "to metadata": one_name([[PUBLIC], [METADATA]], PUBLIC, [PUBLIC]),
    "to IPv6 metadata": one_name([[PUBLIC_6], [METADATA_6]], PUBLIC_6, [PUBLIC_6]),
    "from IPv6 to loopback": one_name([[PUBLIC_6], [LOOPBACK, "::1"]], PUBLIC_6, [PUBLIC_6]),
    "from loopback": one_name([[LOOPBACK], [PUBLIC]], REFUSED, []),
    "from metadata": one_name([[METADATA], [PUBLIC]], REFUSED, []),
    "a private one among public ones": one_name([[PUBLIC, PRIVATE], [PUBLIC]], REFUSED, []),
    "A public, AAAA loopback": one_name([[PUBLIC, "::1"]], REFUSED, []),
    "A public, AAAA metadata": one_name([[PUBLIC, METADATA_6]], REFUSED, []),
    "A public, AAAA wrapping metadata": one_name([[PUBLIC, f"::ffff:{METADATA}"]], REFUSED, []),
    "A loopback, AAAA public": one_name([[LOOPBACK, PUBLIC_6]], REFUSED, []),
    "CNAME of an internal name": one_name([["metadata.internal", METADATA]], REFUSED, []),
    "chain of CNAMEs": one_name([[OTHER, "metadata.internal", METADATA, METADATA_6]], REFUSED, []),
    "CNAME that changes": one_name([[OTHER, PUBLIC], ["metadata.internal", METADATA]], PUBLIC, [PUBLIC]),
    "redirect to the same name": Case(
        {HOST: [[PUBLIC], [METADATA]]}, [f"fetch {URL}to/{URL}"], [REFUSED], [PUBLIC], {HOST: 2}
    ),
    "redirect to a name that rebinds": Case(
        {HOST: [[PUBLIC]], OTHER: [[PUBLIC_6], [LOOPBACK]]},
        [f"fetch {URL}to/https://{OTHER}/"],
        [PUBLIC_6],
        [PUBLIC, PUBLIC_6],
        {HOST: 1, OTHER: 1},
    ),
    "redirect to an internal name": Case(
        {HOST: [[PUBLIC]], OTHER: [["metadata.internal", METADATA]]},
        [f"fetch {URL}to/https://{OTHER}/"],
        [OTHER_REFUSED],
        [PUBLIC],
        {HOST: 1, OTHER: 1},
    ),
    "callback that came to be private": Case(
        {HOST: [[PUBLIC], [PRIVATE]]}, [f"check {URL}", f"post {URL}"], ["checked", REFUSED], [], {HOST: 2}
    ),
    "callback that rebinds while it is sent": Case(
        {HOST: [[PUBLIC], [PUBLIC], [LOOPBACK]]},
        [f"check {URL}", f"post {URL}"],
        ["checked", "200"],
        [PUBLIC],
        {HOST: 2},
    ),
    # That the trap is one: who checks a name and then connects by it is led to where it must not come.
    "without care, to loopback": Case(
        {HOST: [[PUBLIC], [LOOPBACK]]}, [f"carelessly {URL}"], [LOOPBACK], [LOOPBACK], {HOST: 2}
    ),
    "without care, to metadata": Case(
        {HOST: [[PUBLIC], ["metadata.internal", METADATA]]}, [f"carelessly {URL}"], [METADATA], [METADATA], {HOST: 2}
    ),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of each case."""
    allowed = subprocess.run([*IN_NAMESPACES, "true"], capture_output=True, text=True, check=False)
    if allowed.returncode:
        pytest.skip(f"namespaces of users, mounts and networks are forbidden here: {allowed.stderr.strip()}")
    scratch = tmp_path_factory.mktemp("rebinding")
    certificate = scratch / "certificate.pem"
    write_certificate(certificate, "*.rebinding.example")
    told = subprocess.run(
        [*IN_NAMESPACES, sys.executable, "-m", "tests.unit.rebinding", certificate, scratch],
        cwd=ROOT,
        input=json.dumps([{"names": case.names, "calls": case.calls} for case in CASES.values()]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=240,
    )
    return dict(zip(CASES, json.loads(told.stdout), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_a_name_leads_nowhere_but_to_the_public_address_that_was_checked(outcomes: dict[str, Any], name: str) -> None:
    case, outcome = CASES[name], outcomes[name]
    assert outcome["came_to"] == case.came_to
    assert outcome["connected"] == case.connected
    assert outcome["asked"] == case.asked
