"""Other people's programs that tests run. The bootstrap brings them where they can be had; elsewhere a test skips."""

import os
import shutil

import pytest


def find(name: str) -> str | None:
    """The path of a program, also of one that only administrators have in their PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def program(name: str) -> str:
    """The path of a program; without it the test that asks is skipped, with the reason."""
    found = find(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found
