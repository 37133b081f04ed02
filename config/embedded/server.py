"""Who uses the embedded server: the first process to connect starts it, the last one to leave stops it.

Two lock files lie beside the data directory. Each process holds `<name>.users` shared for as long as it lives; who can
turn that into an exclusive lock is the last one, and stops the server. `<name>.start` lets one process at a time make
and start it. The kernel drops a dead process's locks, so a `kill -9` leaves nothing behind but, if it hit the only
user, a running server that the next user's normal exit stops.
"""

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.util import Finalize
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from config.embedded import cluster, programs
from config.embedded.programs import OWN_SERVER, Account

_lock = threading.Lock()
_holds: dict[Path, int] = {}  # the descriptor of this process's shared lock, by data directory
_ready: set[Path] = set()  # the servers that this process has seen answer


def ensure(data: Path, settings: Mapping[str, object] | None = None) -> None:
    """Have the server of the directory `data` running, made first if need be, and keep it so while this process lives.

    `settings` are PostgreSQL's own, for the start if this call makes it. Cheap after the first call. May wait for
    another process that is starting or stopping the server. Raises ImproperlyConfigured with the path and the way out.
    """
    data = data.resolve()
    if data in _ready:
        return
    with _lock:
        if data in _ready:
            return
        try:
            account = programs.account_for(data)
            _prepare(data, account)
            _hold(data, account)
            with _starting(data, account):
                cluster.bring_up(data, account, settings or {})
        except OSError as error:
            raise ImproperlyConfigured(_reason(data, error)) from error
        _ready.add(data)


def forget(data: Path) -> None:
    """Let the next `ensure` look again: the server was seen dead. This process stays one of its users."""
    _ready.discard(data.resolve())


def leave(data: Path) -> None:
    """Stop using the server, and stop it if nobody else does. Runs by itself at the end of each process."""
    data = data.resolve()
    with _lock:
        _ready.discard(data)
        users = _holds.pop(data, None)
    if users is None:
        return
    try:
        if _is(users, _lock_file(data, "users")):  # else somebody has deleted the folder, and perhaps begun anew
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            cluster.stop(data, programs.account_for(data))
    except (OSError, RuntimeError, ImproperlyConfigured):
        pass  # others still use it; or this process ends in no state to stop it, and the next one will
    finally:
        fcntl.flock(users, fcntl.LOCK_UN)
        os.close(users)


def _lock_file(data: Path, kind: str) -> Path:
    return data.with_name(f"{data.name}.{kind}")


def _prepare(data: Path, account: Account) -> None:
    """Make the folder above the data directory, and refuse a data directory that belongs to somebody else."""
    missing = [folder for folder in data.parents if not folder.exists()]
    for folder in reversed(missing):
        above = folder.parent.stat()
        folder.mkdir(exist_ok=True)
        if os.geteuid() == 0:  # a folder in a user's home is the user's, although root makes it
            os.chown(folder, above.st_uid, above.st_gid)
    if not data.exists() or (owner := data.stat().st_uid) == account.uid:
        return
    if owner == 0 == os.geteuid() and not any(data.iterdir()):
        cluster.give(data, account)
        return
    raise ImproperlyConfigured(_belongs(data, owner, account))


def _hold(data: Path, account: Account) -> None:
    path = _lock_file(data, "users")
    if data in _holds:
        if _is(_holds[data], path):
            return
        os.close(_holds.pop(data))
    users = _open(path, account)
    fcntl.flock(users, fcntl.LOCK_SH)  # waits while the last user stops the server
    _holds[data] = users
    # Not atexit: it does not run in multiprocessing's children, and granian's workers are such.
    Finalize(None, leave, (data,), exitpriority=-100)


@contextmanager
def _starting(data: Path, account: Account) -> Iterator[None]:
    start = _open(_lock_file(data, "start"), account)
    try:
        fcntl.flock(start, fcntl.LOCK_EX)
        yield
    finally:
        os.close(start)


def _open(path: Path, account: Account) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    if os.geteuid() == 0 and os.fstat(descriptor).st_uid == 0:
        os.fchown(descriptor, account.uid, account.gid)
    return descriptor


def _is(descriptor: int, path: Path) -> bool:
    """Whether the open file still is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _reason(data: Path, error: OSError) -> str:
    """One sentence for what the operating system refused."""
    path = Path(os.fsdecode(error.filename)) if error.filename else data
    try:
        owner = path.stat().st_uid
    except OSError:
        owner = os.geteuid()
    if path != data.parent and path.is_file() and os.geteuid() not in (0, owner):
        return _belongs(path, owner, Account(os.geteuid(), os.getegid()))
    me = programs.user_name(os.geteuid())
    return (
        f"The embedded PostgreSQL cannot use {data}, because {path} refuses: {error.strerror}; make {data.parent} a"
        f" folder that {me} can write to, name another one in METERBOOK_DATA, or {OWN_SERVER}."
    )


def _belongs(path: Path, owner: int, account: Account) -> str:
    return (
        f"{path} belongs to {programs.user_name(owner)}, and PostgreSQL would run as {account.name}: delete it, give it"
        f" away with chown -R {account.uid} {path}, or {OWN_SERVER}."
    )


def _new_in_child() -> None:
    """A forked child takes its own hold at its first connection; the inherited descriptors would be its parent's."""
    for users in _holds.values():
        os.close(users)
    _holds.clear()
    _ready.clear()
    _lock.release()


# The lock is held over a fork, so that a child never begins with the half-done work of one of its parent's threads.
os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_new_in_child)
