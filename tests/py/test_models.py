"""The model checks see what they are for: each broken variant of a lock-free structure must fail its check.

A variant is the source with some lines in place of others: tests/py/model_variants.diff. The checks themselves are
tests/c/*/test_*_model.c; `make ctest` runs them on the source as it is.

Not among them, because they are harmless, and why (policy/bucket.c):
- no look at the number after a payment was found again in `newcomer`: the key had no entry when it was looked for,
  after the payment; one that comes later is fresh and begins with what the shared bucket owes, the payment included;
- no look at the number before a payment into the shared bucket: the look after it finds the same, and who then pays
  once more, into its entry, gets less, not more;
- no look at the number before an entry is emptied: only a full one is, so nothing is forgotten; while an insertion is
  announced nobody can announce another, so its key is nowhere else when it is put there anew;
- a fresh entry that refuses stays fresh: it goes on to owe what the shared bucket owes, which is more, not less;
- an announcement ends under its own number: the number changed when it began, and the bit that tells the two apart is
  compared with it. (endpoint.c: `seen` set before the copy is checked: a check fails only if there is a newer version.)
"""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
CFLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-O1", "-DFGW_DEBUG", "-pthread", "-w"]


class Variant(NamedTuple):
    check: str  # tests/c/<check>_model.c
    source: str
    why: str  # what it does wrong
    old: str
    new: str


def variants() -> list[Variant]:
    """Those of model_variants.diff: `== check source: why`, then lines that go (-) and lines that come (+)."""
    found = []
    for part in re.split(r"^== ", (ROOT / "tests/py/model_variants.diff").read_text(), flags=re.M)[1:]:
        title, *lines = part.splitlines()
        where, _, why = title.partition(": ")
        check, source = where.split()
        old, new = ("".join(f"{line[1:]}\n" for line in lines if line.startswith(sign)) for sign in "-+")
        found.append(Variant(check, source, why, old, new))
    return found


def compile(*arguments: str | Path) -> None:
    command = [*shlex.split(os.environ.get("CC", "cc")), *CFLAGS, *map(str, arguments)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the checks are linked with: the layers up to policy as they are, without what needs more libraries."""
    folder = tmp_path_factory.mktemp("objects")
    made = []
    for layer in ("base", "io", "http", "policy"):
        for source in sorted((ROOT / "src_c" / layer).glob("*.c")):
            if any(library in source.read_text() for library in ("<openssl/", "<nghttp2/", "<pcre2", "h2_impl.h")):
                continue
            made.append(folder / f"{layer}-{source.stem}.o")
            compile("-Isrc_c", "-c", "-o", made[-1], source)
    subprocess.run(["ar", "rcs", folder / "lib.a", *made], check=True, timeout=60)
    return folder / "lib.a"


def run(variant: Variant, text: str, folder: Path, archive: Path) -> subprocess.CompletedProcess[str]:
    """The model check over this text of the source."""
    path = folder / variant.source
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    program = folder / "check"
    compile(f"-I{folder}", "-Isrc_c", "-I.", "-Itests/c", "-o", program, f"tests/c/{variant.check}_model.c", archive)
    return subprocess.run([program], capture_output=True, text=True, timeout=45)


@pytest.mark.parametrize("variant", variants(), ids=lambda v: f"{v.source}: {v.why}")
def test_a_broken_variant_is_seen(variant: Variant, tmp_path: Path, archive: Path) -> None:
    source = (ROOT / "src_c" / variant.source).read_text()
    assert source.count(variant.old) == 1, "the source has changed: say anew how it can be broken"
    done = run(variant, source.replace(variant.old, variant.new), tmp_path, archive)
    assert done.returncode != 0, f"not seen: {variant.why}"
    assert "FAILED" in done.stdout + done.stderr, done.stderr
