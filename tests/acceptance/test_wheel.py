"""The wheel alone does what the clone does: `pip install springline && springline demo`."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.support.localstripe_process import REPOSITORY
from tests.support.processes import Place


async def test_the_wheel_installs_and_runs_the_demo(place: Place) -> None:
    springline, site = install_wheel(place.folder)
    version = await place.run("--version", command=springline)
    assert (version.code, version.err) == (0, "")
    assert version.out.startswith("springline ")
    where = run(f"{site.parents[2]}/bin/python", "-c", "import springline; print(springline.__file__)")
    assert where.startswith(str(site))
    demo = await place.run("demo", "--customers", "50", command=springline, within_seconds=60)
    assert demo.code == 0, demo.out + demo.err
    assert not list(place.temporary.iterdir())


def install_wheel(folder: Path) -> tuple[tuple[str], Path]:
    """Builds it and installs it into a fresh environment; returns the command and where its packages are.

    What it depends on is what was installed for the tests, without what their clone put there.
    """
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder / "dist"), str(REPOSITORY))
    (wheel,) = (folder / "dist").glob("springline-*.whl")
    fresh = folder / "fresh"
    venv.create(fresh, with_pip=False)
    pip = (sys.executable, "-m", "pip", "--python", str(fresh / "bin" / "python"))
    run(*pip, "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", str(wheel))
    (site,) = (fresh / "lib").glob("python*/site-packages")
    dependencies = folder / "dependencies"
    dependencies.mkdir()
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if "springline" not in installed.name and installed.suffix != ".pth":
            (dependencies / installed.name).symlink_to(installed)
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    return (str(fresh / "bin" / "springline"),), site


def run(*words: str) -> str:
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/", env=own)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
