"""One data directory of PostgreSQL: made, configured, started, asked and stopped.

Nothing here knows who else uses the server; `server` calls these functions under its locks.
"""

import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from config.embedded import programs
from config.embedded.programs import MAJOR, OWN_SERVER, Account

START_SECONDS = 120  # crash recovery replays up to max_wal_size
STOP_SECONDS = 60
LOG_BYTES = 10_000_000  # a longer log is put aside at the next start, in place of the one before
NO_PROCESS = 2**31 - 2  # above any system's highest number
SOCKET_PATH_BYTES = 103  # of the address: 107 on Linux, 103 on macOS

# fsync, synchronous_commit and full_page_writes keep their defaults, on: what was committed survives a power cut.
SETTINGS = {
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_connections": "200",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# The first three would make commits forgetful, the others would hide the server from the processes that share it.
FIXED = {"fsync", "synchronous_commit", "full_page_writes", "listen_addresses", "port", "unix_socket_directories"}


def socket_dir(data: Path) -> Path:
    """The folder of the server's socket: the data directory or, when that is too deep for an address, a short one.

    It is computed, not stored, and does not follow TMPDIR, so that all processes agree.
    """
    if len(os.fsencode(data / ".s.PGSQL.5432")) <= SOCKET_PATH_BYTES:
        return data
    return Path("/tmp", f"mb-{hashlib.sha256(os.fsencode(data)).hexdigest()[:12]}")  # noqa: S108  checked below


def address(data: Path) -> dict[str, str]:
    """Where and as whom to connect; complete, so that no PGPORT or PGHOSTADDR of the environment leads elsewhere."""
    return {"host": str(socket_dir(data)), "hostaddr": "", "port": "5432", "user": "postgres"}


def answers(data: Path) -> bool:
    """Whether the server of `data` takes connections now."""
    return _ping(data) == Ping.OK


def _ping(data: Path) -> Ping:
    conninfo = make_conninfo(dbname="postgres", connect_timeout=5, **address(data))
    return Ping(PGconn.ping(conninfo.encode()))


def bring_up(data: Path, account: Account, settings: Mapping[str, object]) -> None:
    """Make the data directory when there is none, and have its server running when this returns.

    Raises ImproperlyConfigured with the reason and the way out.
    """
    if _ping(data) == Ping.OK:
        return
    programs.open_the_way(programs.path_of("postgres"), account)
    programs.open_the_way(data, account)
    if not (data / "PG_VERSION").exists():
        _make(data, account)
    version = (data / "PG_VERSION").read_text().strip()
    if version != MAJOR:
        raise ImproperlyConfigured(
            f"{data} was made by PostgreSQL {version} and the embedded server is {MAJOR}: move it away and restore a"
            f" pg_dump of it, or {OWN_SERVER}."
        )
    _start(data, account, settings)


def stop(data: Path, account: Account) -> None:
    """Stop the server, ending the connections that are left; returns when it has stopped, or after STOP_SECONDS."""
    programs.run("pg_ctl", "stop", "-m", "fast", "-w", "-t", str(STOP_SECONDS), account=account, data=data)


def _make(data: Path, account: Account) -> None:
    """initdb beside the final place, then one rename: a process killed in between leaves no half directory."""
    for left in data.parent.glob(f"{data.name}.new-*"):
        shutil.rmtree(left, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix=f"{data.name}.new-", dir=data.parent))
    try:
        give(new, account)
        # The built-in locale sorts the same on every machine, whatever its libc.
        locale = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        code, said = programs.run("initdb", "--auth=trust", "-U", "postgres", *locale, account=account, data=new)
        if code != 0:
            raise ImproperlyConfigured(f"No database can be made in {data} as {account.name}: {said[-600:]}")
        new.rename(data)
    except OSError as error:
        raise ImproperlyConfigured(f"No database can be made in {data}: {error.strerror}; {OWN_SERVER}.") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _start(data: Path, account: Account, settings: Mapping[str, object]) -> None:
    _configure(data, account, settings)
    deadline = time.monotonic() + START_SECONDS
    failures = 0
    while (state := _ping(data)) != Ping.OK:
        if state == Ping.NO_RESPONSE:
            _disown_stale_pid(data, data / "postmaster.pid")
            _disown_stale_pid(data, socket_dir(data) / ".s.PGSQL.5432.lock")
            code, said = programs.run(
                *("pg_ctl", "start", "-w", "-t", str(START_SECONDS), "-l", "postgres.log"),
                account=account,
                data=data,
                cwd=data,
            )
            failures += code != 0
            # A killed postmaster's backends must end before the next one can start: while any is there, go on.
            if (failures > 2 and not any(_processes_in(data))) or time.monotonic() > deadline:
                raise ImproperlyConfigured(
                    f"The embedded PostgreSQL in {data} does not start: {_last_words(data) or said}"
                )
        elif time.monotonic() > deadline:
            raise ImproperlyConfigured(
                f"The embedded PostgreSQL in {data} is not ready after {START_SECONDS} s: see postgres.log there."
            )
        time.sleep(0.05)


def _configure(data: Path, account: Account, settings: Mapping[str, object]) -> None:
    """Write meterbook.conf, which postgresql.conf includes last; the file of the last start is replaced."""
    for name in settings:
        if name in FIXED or not re.fullmatch(r"[a-z_]+(\.[a-z_]+)?", name):
            raise ImproperlyConfigured(f'"{name}" cannot be set in OPTIONS["embedded_settings"].')
    folder = socket_dir(data)
    if folder != data:
        _short_folder(folder, account)
    quoted = '"' + str(folder).replace('"', '""') + '"'  # quotes in quotes: the setting is a list, split at commas
    lines = SETTINGS | dict(settings) | {"listen_addresses": "", "unix_socket_directories": quoted}
    _write(
        data / "meterbook.conf",
        "# Written by Meterbook at each start of the server: what you change here is lost.\n"
        + "".join(f"{name} = {_literal(value)}\n" for name, value in lines.items()),
        account,
    )
    main = data / "postgresql.conf"
    include = "include_if_exists = 'meterbook.conf'\n"
    if include not in (text := main.read_text()):
        _write(main, text + include, account)
    log = data / "postgres.log"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(data / "postgres.log.1")


def _literal(value: object) -> str:
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def _write(path: Path, text: str, account: Account) -> None:
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.write_text(text)
    give(new, account)
    new.replace(path)


def _short_folder(folder: Path, account: Account) -> None:
    """Make the socket's folder in /tmp; one that somebody else has put there is refused."""
    try:
        folder.mkdir(mode=0o700)
        give(folder, account)
    except FileExistsError:
        status = folder.lstat()
        if folder.is_symlink() or status.st_uid != account.uid or status.st_mode & 0o077:
            raise ImproperlyConfigured(
                f"{folder}, the socket's folder, is not a folder of {account.name} alone: delete it."
            ) from None


def give(path: Path, account: Account) -> None:
    """Make `account` the owner of what root has just made; an ordinary user owns it already."""
    if os.geteuid() == 0:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _disown_stale_pid(data: Path, lock: Path) -> None:
    """Have a lock file of the server name no process, when the one that it names is not the server of `data`.

    PostgreSQL itself takes any process of the same user that has the number for the server, even a dead one that
    nobody has waited for; after a reboot or in a container, where numbers are small and come again, it would then
    refuse to start for ever. The rest of the file stays: by it PostgreSQL finds a dead server's remaining processes.
    """
    try:
        pid, rest = lock.read_text().split("\n", 1)
        if os.readlink(f"/proc/{int(pid)}/cwd") == str(data):
            return
    except FileNotFoundError:
        if not lock.exists() or not Path("/proc/self").exists():
            return  # and on a system without /proc nobody can tell
    except (OSError, ValueError):
        return  # another user's process: PostgreSQL knows that this is no server of the directory
    lock.write_text(f"{NO_PROCESS}\n{rest}")


def _processes_in(data: Path) -> Iterator[int]:
    """The processes that work in the data directory, as each of PostgreSQL's does; none on systems without /proc."""
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if os.readlink(link) == str(data):
                yield int(link.parent.name)
        except OSError:
            continue  # another user's, or gone


def _last_words(data: Path) -> str:
    """What the server logged in its last attempt to start, without the times."""
    try:
        lines = (data / "postgres.log").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    said = [line.split("] ", 1) for line in lines[-20:]]  # each line begins with its time and "[process]"
    last = said[-1][0] if said else ""
    process = last[last.rfind("[") :]
    return " ".join(" ".join(words[1:]) for words in said if words[0].endswith(process))[-600:]
