"""Users of the embedded server for the tests: processes that run HELPER and obey one word a line, and this one itself.

As an ordinary user the helper is a process that imports everything as it was started and only then gives up root: on
many machines (this one too) root's Python lies in a folder that nobody else can read, so that no interpreter could be
*started* as another user. A test run that is not root's is an ordinary user itself, and the tests of the ordinary user
then run as it.
"""

import os
import pwd
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.db.backends.base.base import NO_DB_ALIAS
from django.db.utils import ConnectionHandler

from config.embedded.programs import Account

BASE_DIR = Path(__file__).resolve().parent.parent.parent
ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")
ORDINARY = Account(NOBODY.pw_uid, NOBODY.pw_gid) if ROOT else Account(os.geteuid(), os.getegid())

HELPER = """
import multiprocessing, os, sys
from django.conf import settings
settings.configure(DATABASES={"default": {
    "ENGINE": "config.embedded", "NAME": "postgres", "OPTIONS": {"embedded": sys.argv[1]}}})
import django
django.setup()
from django.db import connection
connection.ensure_timezone  # the backend is imported now, with the rights that this process began with
if len(sys.argv) > 2:
    os.setgroups([]), os.setgid(int(sys.argv[3])), os.setuid(int(sys.argv[2]))

def postmaster():
    with connection.cursor() as cursor:
        cursor.execute("SELECT split_part(pg_read_file('postmaster.pid'), chr(10), 1)")
        return cursor.fetchone()[0]

def obey(word):
    if word == "connect":
        connection.close()
        return postmaster()
    if word == "worker":
        results = multiprocessing.get_context("fork").SimpleQueue()
        worker = multiprocessing.get_context("fork").Process(target=lambda: results.put(postmaster()))
        worker.start()
        worker.join()
        return results.get()
    ready, done = os.pipe()
    child = os.fork()
    if child:  # the parent ends when its child is ready, and the child obeys from now on
        os.read(ready, 1)
        sys.exit()
    connection.connection = None  # the parent's
    answer = postmaster() if word == "fork" else "no connection"
    os.write(done, b".")
    return answer

for line in sys.stdin:
    try:
        print(obey(line.strip()), flush=True)
    except Exception as error:
        print(type(error).__name__, error, flush=True)
"""


class Helper:
    """A process that uses the server of a data directory, and answers each word that `tell` sends it."""

    def __init__(self, data: Path, account: Account | None = None) -> None:
        identity = [str(account.uid), str(account.gid)] if account and ROOT else []
        self.process = subprocess.Popen(
            [sys.executable, "-c", HELPER, str(data), *identity],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=BASE_DIR,
            bufsize=0,
            env={
                "PYTHONPATH": f"{BASE_DIR}:{os.environ.get('PYTHONPATH', '')}",
                "PATH": os.environ["PATH"],
                "PGPORT": "1",  # as in the shell of somebody who works with another server, too
                "PGHOSTADDR": "192.0.2.1",
            },
        )

    def tell(self, word: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{word}\n".encode())

    def answer(self) -> str:
        assert self.process.stdout
        assert select.select([self.process.stdout], [], [], 120)[0], "no answer in two minutes"
        return self.process.stdout.readline().decode().strip()

    def ask(self, word: str = "connect") -> str:
        self.tell(word)
        return self.answer()

    def end(self) -> int:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        while select.select([self.process.stdout], [], [], 120)[0] and self.process.stdout.read(1000):
            pass  # until the end of the output, which a forked child writes to as well
        self.process.stdout.close()
        return self.process.wait(120)

    def kill(self) -> None:
        self.process.kill()
        self.end()


def connect(data: Path, **options: Any) -> Any:
    """A connection of this very process, as Django makes it.

    Under the alias of connections without a database: for any other, django.contrib.postgres asks the connection of
    that name in the project's own settings, and so would start the project's server.
    """
    settings = {"ENGINE": "config.embedded", "NAME": "postgres", "OPTIONS": options | {"embedded": data}}
    return ConnectionHandler({"default": {}, NO_DB_ALIAS: settings})[NO_DB_ALIAS]


def show(connection: Any, name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return cursor.fetchone()[0]
