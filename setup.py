"""What pyproject.toml can't say: a wheel has the hot path compiled, where there is a compiler."""

from pathlib import Path
from runpy import run_path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

# Run, not imported: Tickertape's dependencies aren't there while it is built.
BUILD = run_path("tickertape/stream/compiled/build.py")
FOLDER = "tickertape/stream/compiled"


class Package(build_py):
    compiled = False

    def run(self) -> None:
        super().run()
        # An editable Tickertape has what `make setup` compiles in place.
        if not self.editable_mode:
            self.compile_hot_path(Path(self.build_lib, FOLDER))

    def compile_hot_path(self, folder: Path) -> None:
        for old in folder.glob("hot-*.so"):
            old.unlink()
        try:
            BUILD["build"](folder / BUILD["library"]().name)
            self.compiled = True
        except BUILD["BuildError"] as error:
            self.warn(f"the hot path is not compiled, so NumPy does its work: {error}")


class Wheel(bdist_wheel):
    """A wheel of this platform for every Python; one of every platform if nothing is compiled."""

    def run(self) -> None:
        # First, because where a wheel's files go depends on whether it is of a platform.
        self.run_command("build_py")
        compiled = self.get_finalized_command("build_py").compiled
        self.root_is_pure = not compiled
        self.distribution.has_ext_modules = lambda: compiled
        super().run()

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", super().get_tag()[2]


setup(cmdclass={"build_py": Package, "bdist_wheel": Wheel})
