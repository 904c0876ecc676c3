"""What `pip install .` brings: a wheel of this checkout, with the engine as it was built."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    environment = {**os.environ, "FGW_LIB": "fastgw/_libfgw.so"}
    make = [*PIP, "wheel", ".", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(place)]
    done = subprocess.run(make, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = place.glob("*.whl")
    install = [*PIP, "install", "--no-deps", "--no-index", "--target", str(place / "site"), str(wheel)]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return place / "site"


def use(site: Path, code: str) -> str:
    """What `code` prints, with the installed package before any other."""
    code = f"import sys; sys.path.insert(0, {str(site)!r}); {code}"
    done = subprocess.run([sys.executable, "-c", code], cwd=site, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_picohttp_works_as_installed(installed: Path) -> None:
    data = r"b'GET /a HTTP/1.1\r\nHost: x\r\n\r\n'"
    said = use(installed, f"from fastgw import picohttp as p; print(p.__file__, p.parse_request({data}).target)")
    assert said == f"{installed / 'fastgw' / 'picohttp' / '__init__.py'} b'/a'"
    libraries = "print([l.split()[-1] for l in open('/proc/self/maps') if l.rstrip().endswith('_libfgw.so')][0])"
    assert use(installed, f"import fastgw.picohttp; {libraries}") == str(installed / "fastgw" / "_libfgw.so")


def test_types_come_along(installed: Path) -> None:
    for name in ("py.typed", "_picohttp.pyi", "_worker.pyi"):
        assert (installed / "fastgw" / name).exists(), name
