"""Mirrors of the engine's headers for Cython: one .pxd a header, nothing at run time."""
