# SPDX-License-Identifier: MIT
"""The peers, installed outside of the repository: a virtual environment under $SINTER_BENCH_ENV (default ~/.cache/sinter-bench)
and, where the system lacks them and is a Debian, libraries unpacked beside it. What cannot be had is None."""
import os, pathlib, platform, shutil, subprocess, sys

HOME = pathlib.Path(os.environ.get("SINTER_BENCH_ENV") or pathlib.Path.home() / ".cache/sinter-bench")
PYTHON = HOME / "bin/python"


def say(text):
    print(text, file=sys.stderr, flush=True)


def output(*command):
    """What a command prints; None where it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def version(module):
    """None where the environment lacks it."""
    return output(PYTHON, "-c", f"import {module}; print({module}.__version__)")


def pip(package, *options):
    say(f"installing {package} into {HOME}")
    return subprocess.run([PYTHON, "-m", "pip", "install", "-q", package, *options], stdout=sys.stderr).returncode == 0


def environment():
    """module -> version or None."""
    if not PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", HOME], check=True, stdout=sys.stderr)
    modules = {"torch": "torch", "jax": "jax", "numpy": "numpy", "matplotlib": "matplotlib", "scipy_openblas32": "scipy-openblas32"}
    for module, package in modules.items():
        if version(module):
            continue
        if module == "torch" and pip(package, "--index-url", "https://download.pytorch.org/whl/cpu", "--retries", "0"):
            continue  # smaller; else what PyPI has, which brings CUDA along but runs the same kernels on the CPU
        pip(package)
    return {module: version(module) for module in modules}


def has_header(header, *flags):
    return subprocess.run(["g++", "-fsyntax-only", "-x", "c++", *flags, "-include", header, "/dev/null"], stderr=subprocess.DEVNULL).returncode == 0


def debian(header, library, *packages):
    """Flags for a library: the system's, or packages unpacked here."""
    if has_header(header):
        return [f"-l{library}"] if library else []
    root = HOME / "debian"
    triple = f"{platform.machine()}-linux-gnu"
    flags = ["-isystem", str(root / "usr/include")]
    if library:
        lib = f"{root}/usr/lib/{triple}"  # an rpath of the old kind serves the libraries' own needs as well
        flags += [f"-L{lib}", f"-Wl,-rpath,{lib},-rpath-link,{lib},--disable-new-dtags", f"-l{library}"]
    if not has_header(header, *flags[:2]) and shutil.which("apt-get") and shutil.which("dpkg"):
        archives = HOME / "archives"
        archives.mkdir(parents=True, exist_ok=True)
        say(f"unpacking {', '.join(packages)} into {root}")
        subprocess.run(["apt-get", "-qq", "download", *packages], cwd=archives, stdout=sys.stderr, stderr=subprocess.DEVNULL)
        for archive in archives.glob("*.deb"):
            subprocess.run(["dpkg", "-x", archive, root], stdout=sys.stderr)
    return flags if has_header(header, *flags[:2]) else None


def eigen():
    for flags in ([], ["-isystem", "/usr/include/eigen3"], ["-isystem", str(HOME / "debian/usr/include/eigen3")]):
        if has_header("Eigen/Core", *flags):
            return flags
    debian("eigen3/Eigen/Core", "", "libeigen3-dev")
    flags = ["-isystem", str(HOME / "debian/usr/include/eigen3")]
    return flags if has_header("Eigen/Core", *flags) else None


def onednn():
    return debian("oneapi/dnnl/dnnl.h", "dnnl", "libdnnl-dev", "libdnnl2", "ocl-icd-libopencl1")


def openblas():
    """The newest release from PyPI, whose names begin with scipy_."""
    places = output(PYTHON, "-c", "import scipy_openblas32 as o; print(o.get_include_dir()); print(o.get_lib_dir()); print(o.get_library())")
    if not places:
        return debian("cblas.h", "openblas", "libopenblas-dev", "libopenblas0")
    include, lib, library = places.split("\n")
    names = [f"-D{n}=scipy_{n}" for n in ("cblas_sgemm", "openblas_set_num_threads")]
    return [*names, "-isystem", include, f"-L{lib}", f"-Wl,-rpath,{lib}", f"-l{library}"]


def libtorch():
    """Flags to compile and link against the libtorch inside the wheel."""
    where = output(PYTHON, "-c", "import torch; print(torch.__path__[0])")
    if not where:
        return None
    includes = ["-isystem", f"{where}/include", "-isystem", f"{where}/include/torch/csrc/api/include"]
    return ["-std=c++20", *includes, f"-L{where}/lib", f"-Wl,-rpath,{where}/lib", "-ltorch_cpu", "-lc10"]
