"""The hot modules as machine code: Cython compiles the very files that Python would run; their meaning is the same.

A compiled module is found by the digest of its source and of what compiles it: an edited file runs as plain Python
until it is compiled again, and a stale one cannot be loaded. Without a C compiler everything runs as plain Python, and
the builder says so.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
BUILT: Final = ROOT / ".headrace" / "native"
SWITCH: Final = "HEADRACE_NATIVE"
"""An environment variable: `off` leaves everything to the interpreter. Read before there are settings."""

_HOT: Final = {
    "schemas": "events fit_events receipts",
    "features": "adding cells counting decayed definitions derive distinct duplicates extremes fold limits moments "
    "packed packed_ids packed_places packing reading recents sessions sliding_hll state texts",
    "storage": "cassandra_store packed_batch row_encoding rows state_reads",
    "streams": "announcer lane log_records partition records spans state_cache",
    "graphql_api": "bodies context ingest media_types messages pace reads view",
    "graphql_api.compiled": "documents inputs mutations operations plan reads replies selections",
    "runtime": "delivery fetched_batch group_commit producer record_batch record_sizes room",
}
MODULES: Final = tuple(f"{package}.{name}" for package, names in _HOT.items() for name in names.split())

# What passes 64 bits wraps, and products are rounded before they are added to, on every processor.
_C_FLAGS: Final = ("-fwrapv", "-ffp-contract=off", "-g0", "-w", "-fPIC", "-fno-plt")
_LEVEL: Final = "-O1"
_LEVEL_OF_TYPED: Final = "-O2"  # a tenth faster; of the others it makes 3 %, for twice the time to compile
# Annotations decide nothing, as in Python, but where a module asks for them in its first line.
_CYTHON_OPTIONS: Final = ("-3", "--directive=annotation_typing=False")


_PLACE: Final = re.compile(r"\.(py|pxd|c):\d+:")
_PINNED: Final = re.compile(r"^cython==\S+", re.MULTILINE)


class CannotCompile(Exception):
    """There is no compiler, or it refused; the message is its first complaint, with the place if it names one."""


class _Finder:
    """Finds the compiled module of exactly the source that lies here; all others are left to Python's own finders."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in MODULES:
            return None
        together = _typed() if name in _typed() else [name]
        libraries = _libraries(together)
        if any(_runs_as_python(each) or not libraries[each].exists() for each in together):
            return None
        library = libraries[name]
        return importlib.util.spec_from_file_location(name, library)


def install() -> None:
    """Import the compiled modules where there are any, from now on."""
    if os.environ.get(SWITCH) != "off" and _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


def loaded() -> list[str]:
    """The compiled modules of this process."""
    return [name for name in MODULES if name in sys.modules and not _runs_as_python(name)]


def _runs_as_python(name: str) -> bool:
    """Whether it has been imported from its source: before there was a finder, or because nothing else was there."""
    return name in sys.modules and Path(getattr(sys.modules[name], "__file__", "")).parent != BUILT


def missing() -> list[str]:
    """The modules whose source of now has not been compiled."""
    return [name for name, library in _libraries(MODULES).items() if not library.exists()]


def build() -> None:
    """Compile what is missing, and drop what older sources left. Raises CannotCompile."""
    names, cores = missing(), os.cpu_count() or 1
    BUILT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILT) as scratch, ThreadPoolExecutor(cores) as pool:
        for file in {_file(name, ".py") for name in names} | _sources_of_typed():
            _copy(file, Path(scratch))
        list(pool.map(_translate, [names[core::cores] for core in range(cores)], [Path(scratch)] * cores))
        libraries = _libraries(names, Path(scratch))
        list(pool.map(_compile, names, [Path(scratch)] * len(names), [libraries[name] for name in names]))
    for old in set(BUILT.glob("*.so")) - set(_libraries(MODULES).values()):
        old.unlink(missing_ok=True)


def _file(name: str, suffix: str) -> Path:
    return Path(name.replace(".", "/")).with_suffix(suffix)


def _typed() -> list[str]:
    """The modules with a `.pxd` beside them. They see into each other's objects, so they change together."""
    return [name for name in MODULES if (ROOT / _file(name, ".pxd")).exists()]


def _sources_of_typed() -> set[Path]:
    folders = {_file(name, ".py").parent for name in MODULES}
    declarations = {folder / file.name for folder in folders for file in (ROOT / folder).glob("*.pxd")}
    return {_file(name, ".py") for name in _typed()} | declarations


def _libraries(names: Sequence[str], root: Path | None = None) -> dict[str, Path]:
    """Where the compiled modules of the sources under `root`, ours by default, lie if they are there."""
    root, typed = root or ROOT, _typed()
    common = b""
    if not set(names).isdisjoint(typed):
        common = hashlib.sha256(b"".join((root / file).read_bytes() for file in sorted(_sources_of_typed()))).digest()
    libraries = {}
    for name in names:
        source = (root / _file(name, ".py")).read_bytes() + (common if name in typed else b"")
        digest = hashlib.sha256(source + _toolchain()).hexdigest()[:20]
        libraries[name] = BUILT / f"{name}-{digest}{sysconfig.get_config_var('EXT_SUFFIX')}"
    return libraries


@functools.cache
def _toolchain() -> bytes:
    """What the meaning of the libraries depends on beside their sources. Cython is named by the lock: where compiled
    modules only run, it need not be installed."""
    lock = ROOT / "requirements.lock"
    pinned = _PINNED.search(lock.read_text()) if lock.exists() else None
    return repr((_C_FLAGS, _LEVEL, _LEVEL_OF_TYPED, _CYTHON_OPTIONS, pinned and pinned[0])).encode()


def _translate(names: Sequence[str], scratch: Path) -> None:
    """Modules -> C, in one process, since it takes longer to start than to translate a module."""
    if names:
        _run([sys.executable, "-m", "cython", *_CYTHON_OPTIONS, *(_file(name, ".py") for name in names)], scratch)


def _copy(file: Path, scratch: Path) -> None:
    """Copy the file of a package, which it makes one."""
    copy = scratch / file
    copy.parent.mkdir(parents=True, exist_ok=True)
    for package in list(copy.parents)[: len(file.parents) - 1]:
        (package / "__init__.py").touch()
    copy.write_bytes((ROOT / file).read_bytes())


def _compile(name: str, scratch: Path, library: Path) -> None:
    """C -> shared library, which appears under its name only when it is whole."""
    half = scratch / f"{name}.so"
    includes = [f"-I{sysconfig.get_path(kind)}" for kind in ("include", "platinclude")]
    linker = shlex.split(sysconfig.get_config_var("LDSHARED"))
    level = _LEVEL_OF_TYPED if name in _typed() else _LEVEL
    _run([*linker, level, *_C_FLAGS, *includes, _file(name, ".c"), "-o", half], scratch)
    half.replace(library)


def _run(command: Sequence[str | Path], folder: Path) -> None:
    result = subprocess.run(
        ["/usr/bin/env", *command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        lines = [line.strip() for line in result.stdout.splitlines()]
        complaints = [line for line in lines if line and not line.startswith("warning:")]
        places = [line for line in complaints if _PLACE.search(line)]
        raise CannotCompile((places or complaints or [f"{command[0]} gave no reason"])[0])


def main() -> None:
    """What `./headrace` runs before the commands that start something."""
    names = missing()
    if os.environ.get(SWITCH) == "off" or not names:
        return
    print(f"headrace: compiling {len(names)} modules, once for each change of them", file=sys.stderr, flush=True)
    try:
        build()
    except KeyboardInterrupt:
        sys.exit(130)
    except (CannotCompile, OSError) as error:
        print(
            f"headrace: not compiled: everything runs as plain Python, at half the speed\n  {error}\n"
            f"  on Debian and Ubuntu: apt install gcc python3-dev; {SWITCH}=off leaves this out",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
