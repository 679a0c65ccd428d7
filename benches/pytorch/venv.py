"""Runs a script in a virtual environment of its own, made from PyPI on first use."""

import os
import pathlib
import subprocess
import sys

PACKAGES = ["torch", "numpy", "safetensors"]


def ensure(packages=PACKAGES):
    """Returns if the packages can be imported; else runs the script again where they can."""
    try:
        for package in packages:
            __import__(package.replace("-", "_"))
        return
    except ImportError:
        pass
    venv = pathlib.Path(__file__).resolve().parents[2] / "target" / "pytorch-venv"
    python = venv / "bin" / "python"
    if pathlib.Path(sys.prefix) == venv:
        sys.exit(f"{venv} lacks {packages}: remove it and run again")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    os.execv(python, [python, *sys.argv])
