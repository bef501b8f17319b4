"""The installable package: `pip install .`, or `pip install -e .[test]` to work on it."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def pins(name: str) -> list[str]:
    """The requirement lines of a file, without comments."""
    lines = (line.split("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


version = re.search(r'__version__ = "(.+)"', (ROOT / "where2edit" / "__init__.py").read_text(encoding="utf-8")).group(1)

setup(
    name="where2edit",
    version=version,
    description="Text-guided face editing with region-based attention: only the region that the words name changes",
    author="where2edit contributors",
    license="MIT",
    python_requires=">=3.10",
    # The manifest, the small weights and the configs stand at the top of the repository and travel inside the package.
    packages=[*find_packages(include=["where2edit*"]), "where2edit.pretrained_models", "where2edit.configs"],
    package_dir={"where2edit.pretrained_models": "pretrained_models", "where2edit.configs": "configs"},
    package_data={
        "where2edit": ["**/*.cu", "**/*.cpp", "**/*.h", "**/*.cuh"],
        "where2edit.pretrained_models": ["*.yaml", "*.md", "*.safetensors", "SHA256SUMS"],
        "where2edit.configs": ["**/*.yaml"],
    },
    install_requires=pins("requirements.txt"),
    extras_require={"test": pins("requirements-test.txt")},
)
