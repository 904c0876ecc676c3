"""Build fastgw: one shared library from src_c, and every `fastgw/_X.pyx` as an extension linked with it.

`make build` compiles the library itself and hands it over in FGW_LIB; alone (`pip install .`) it is compiled here.
Either way there is one copy of the engine in the process: `fastgw/_libfgw.so`, found by the extensions through $ORIGIN.
With FGW_BUILT not empty the extensions stand in the tree already: only where it is has to be registered.
"""
from __future__ import annotations

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
LIB = "_libfgw.so"
DEPS = Path("build/deps")


def read_sources_mk() -> dict[str, list[str]]:
    """Return the variables of sources.mk as lists of words; `$(NAME)` of an earlier line is expanded."""
    values: dict[str, str] = {}
    for line in (HERE / "sources.mk").read_text().splitlines():
        if m := re.match(r"(\w+)\s*:=\s*(.*)", line):
            values[m[1]] = re.sub(r"\$\((\w+)\)", lambda ref: values[ref[1]], m[2])
    return {name: text.split() for name, text in values.items()}


MK = read_sources_mk()


def build_library(target: Path, objects: Path) -> None:
    """Compile every source of every layer and link `target`."""
    cc = os.environ.get("CC", "cc").split()
    flags = [*MK["FGW_STD"], *MK["FGW_OPT"], *MK["FGW_LTO"]]
    sources = [s for layer in MK["FGW_LAYERS"] for s in sorted(Path("src_c", layer).glob("*.c"))]

    def compile_one(source: Path) -> str:
        out = objects / source.with_suffix(".o")
        out.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([*cc, *flags, "-c", "-o", str(out), str(source)], check=True)
        return str(out)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outs = list(pool.map(compile_one, sources))
    libs = subprocess.run(["sh", "scripts/libs"], check=True, capture_output=True, text=True).stdout.split()
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([*cc, *flags, *MK["FGW_LINK"], "-o", str(target), *outs, *libs], check=True)


def headers_of(name: str) -> list[str]:
    """The engine's headers that extension `name` read when it was last compiled; all of them when that is not known."""
    try:
        words = (DEPS / f"{name}.d").read_text().replace("\\\n", " ").split()
    except FileNotFoundError:
        return sorted(str(p) for p in Path("src_c").glob("*/*.[hd]*"))
    return [w for w in words if w.startswith("src_c/") and Path(w).exists()]


class BuildExt(build_ext):
    """build_ext that first provides the library and then links every extension (Cython's and cffi's) with it."""

    def build_extensions(self) -> None:
        lib = Path("fastgw" if self.inplace else f"{self.build_lib}/fastgw", LIB)
        given = os.environ.get("FGW_LIB")
        if not given:
            build_library(lib, Path(self.build_temp))
        elif lib.resolve() != Path(given).resolve():
            lib.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(given, lib)
        DEPS.mkdir(parents=True, exist_ok=True)
        for ext in self.extensions:
            name = ext.name.rpartition(".")[2]
            ext.include_dirs.append("src_c")
            ext.extra_compile_args += ["-D_GNU_SOURCE", *MK["FGW_OPT"], "-MMD", "-MF", str(DEPS / f"{name}.d")]
            ext.extra_link_args += [str(lib), "-Wl,-rpath,$ORIGIN", "-Wl,-z,relro,-z,now"]
            ext.depends = [*ext.depends, *headers_of(name)]
        super().build_extensions()


BUILT = bool(os.environ.get("FGW_BUILT"))
pyx = [] if BUILT else sorted(Path("fastgw").glob("_*.pyx"))
setup(
    ext_modules=cythonize(
        [Extension(f"fastgw.{p.stem}", [str(p)]) for p in pyx],
        build_dir="build/cython",
        include_path=["."],
        compiler_directives={"language_level": 3, "embedsignature": True},
        show_all_warnings=False,
        quiet=True,
    ),
    cffi_modules=[] if BUILT else [f"{p}:ffibuilder" for p in sorted(Path("fastgw").glob("_*_build.py"))],
    cmdclass={"build_ext": BuildExt},
)
