"""Who is excused from a rule of the house, and why. An entry that is no longer needed fails its test."""

from __future__ import annotations

LONG_FILES: dict[str, str] = {}
"""Path: why the file may be longer than its kind allows."""

LONG_FUNCTIONS: dict[str, str] = {}
"""`path:function`: why the function may have more than 60 lines."""

SYSTEM_CALLS: dict[str, str] = {
    "src_c/base/hash.c:getrandom": "the process key for hash tables; asked once, at start",
    "src_c/base/clock.c:clock_gettime": "the clock itself; a vDSO call",
}
"""`path:call`: why a system call may be made outside io/."""

WRITABLE_GLOBALS: dict[str, str] = {
    "src_c/http/scan.c:fgw_scanner_": "the scanner for this processor; chosen once, at load, and by tests",
}
"""`path:symbol`: why the engine may have this writable global."""

NO_UNIT_TEST: dict[str, str] = {}
"""Path of a C file: why it needs no test file of its own."""
