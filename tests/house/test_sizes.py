"""STYLE section 5: sizes. Longer things need a name and a reason in exceptions.py."""
from __future__ import annotations

from tests.house import exceptions
from tests.house.tree import c_functions, files, lines, name

FUNCTION = 60
LIMITS = (
    ("C file", (".c",), ("src_c", "benchmarks"), 500),
    ("C header", (".h",), ("src_c",), 200),
    ("Python file", (".py",), ("fastgw", "tests", "benchmarks", "scripts", "examples"), 400),
    ("Cython file", (".pyx",), ("fastgw",), 300),
)
GENERATED = {"fastgw/errors_table.py"}


def test_files() -> None:
    long = {}
    for kind, suffixes, folders, limit in LIMITS:
        for path in files(*suffixes, under=folders):
            if (count := len(lines(path))) > limit and name(path) not in GENERATED:
                long[name(path)] = f"{kind} of {count} lines, {limit} allowed"
    assert not {k: v for k, v in long.items() if k not in exceptions.LONG_FILES}
    assert not exceptions.LONG_FILES.keys() - long.keys(), "excused but short enough"


def test_functions() -> None:
    long = {
        f"{name(path)}:{function}": count
        for path in files(".c", ".h", under=("src_c",))
        for function, count in c_functions(path)
        if count > FUNCTION
    }
    assert not {k: v for k, v in long.items() if k not in exceptions.LONG_FUNCTIONS}
    assert not exceptions.LONG_FUNCTIONS.keys() - long.keys(), "excused but short enough"


def test_every_exception_has_a_reason() -> None:
    lists = [v for k, v in vars(exceptions).items() if k.isupper()]
    assert lists
    assert all(len(reason) > 10 for table in lists for reason in table.values())
