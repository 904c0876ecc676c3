"""A slab that core/trim.c does not know keeps what a burst took."""

from __future__ import annotations

import re

from tests.house.tree import ROOT, files


def test_trim_knows_every_slab() -> None:
    source = "\n".join(path.read_text() for path in files(".c", under=("src_c",)) if path.name != "slab.c")
    made = set(re.findall(r"fgw_slab_init\(&\w+->([\w.]+)", source))
    known = (ROOT / "src_c/core/trim.c").read_text()
    assert len(made) >= 12
    assert not {name for name in made if not re.search(rf"&w->(?:\w+\.)*{name}\b", known)}
