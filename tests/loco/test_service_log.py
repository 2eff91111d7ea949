"""A service's log never fills the disk, and never holds the service up."""

from __future__ import annotations

from sparki_daemon.loco.keeper.service_log import ServiceLog


def test_a_log_is_turned_over_by_size_and_the_oldest_goes(tmp_path):
    path = tmp_path / "r-1.log"
    log = ServiceLog(str(path), limit_bytes=10, kept_files=3)
    for number in range(5):
        log.write(b"line %d.\n" % number)

    assert [(tmp_path / name).read_text() for name in ("r-1.log", "r-1.log.1", "r-1.log.2")] == ["line 4.\n", "line 3.\n", "line 2.\n"]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_restarted_service_appends_to_its_log(tmp_path):
    path = str(tmp_path / "r-1.log")
    ServiceLog(path).write(b"before\n")
    ServiceLog(path).write(b"after\n")

    assert (tmp_path / "r-1.log").read_text() == "before\nafter\n"


def test_what_a_full_disk_refuses_is_dropped_and_counted():
    log = ServiceLog("/dev/full")
    log.write(b"lost")

    assert log.dropped_bytes == 4


def test_a_log_whose_folder_is_gone_holds_nobody_up(tmp_path):
    log = ServiceLog(str(tmp_path / "gone" / "r-1.log"))
    log.write(b"lost")

    assert log.dropped_bytes == 4
