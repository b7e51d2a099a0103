"""What is read from /proc, from texts as the kernel writes them."""

from pathlib import Path

import pytest

from bench.readings import (
    MachineTime,
    cpu_model,
    cpu_s_of_stat,
    filesystem_of,
    machine_time_of,
    own_kb_of_rollup,
    pss_kb_of_rollup,
)
from bench.servers import PostgresWork
from bench.window import Reading, window_between

STAT = "77 (evil) (name R 1) S 1 77 77 0 -1 4194560 9 8 7 6 150 50 25 75 20 0 3 0 4711 1000 20 18446744073709551615"


def test_cpu_counts_own_and_reaped_childrens_time_whatever_the_name() -> None:
    assert cpu_s_of_stat(STAT, ticks_per_s=100) == pytest.approx(3.0)


def test_pss_is_the_total_line() -> None:
    text = "00400000-7fff [rollup]\nRss:  900 kB\nPss:  321 kB\nPss_Anon:  300 kB\n"

    assert pss_kb_of_rollup(text) == 321


def test_own_memory_is_anonymous_in_proportion_and_what_is_swapped_out() -> None:
    text = "00400000-7fff [rollup]\nPss:  321 kB\nPss_Anon:  300 kB\nPss_Shmem:  21 kB\nSwapPss:  7 kB\n"

    assert own_kb_of_rollup(text) == 307


def test_without_a_pss_line_there_is_no_pss() -> None:
    with pytest.raises(ValueError, match="Pss"):
        pss_kb_of_rollup("")


def test_machine_time_tells_work_from_waiting_and_theft() -> None:
    stat = "cpu  100 10 50 800 20 5 5 10 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"

    found = machine_time_of(stat, ticks_per_s=100)

    assert found == MachineTime(busy_s=1.7, idle_s=8.2, stolen_s=0.1)
    assert found.busy_share == pytest.approx(0.17)


def test_no_time_at_all_is_an_idle_machine() -> None:
    assert MachineTime(0.0, 0.0, 0.0).busy_share == 0.0


def test_the_innermost_mount_decides_the_filesystem() -> None:
    mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/my\\040disk xfs rw 0 0\n"

    assert filesystem_of(Path("/tmp/x"), mounts) == "tmpfs"
    assert filesystem_of(Path("/tmp/my disk/x"), mounts) == "xfs"
    assert filesystem_of(Path("/tmpfoo"), mounts) == "ext4"


def test_cpu_model_is_the_first_named() -> None:
    assert cpu_model("processor: 0\nmodel name\t: Fast 9\nmodel name\t: Fast 9\n") == "Fast 9"
    assert cpu_model("") == "unknown"


def test_a_window_is_the_difference_and_strangers_are_the_rest() -> None:
    machine = MachineTime(0.0, 0.0, 0.0)
    first = Reading(10.0, {"kafka": 1.0}, {"mock": 0.0}, machine, PostgresWork(5, 100))
    last = Reading(20.0, {"kafka": 4.0}, {"mock": 1.0}, MachineTime(10.0, 10.0, 0.0), PostgresWork(15, 900))

    window = window_between(first, last)

    assert (window.seconds, window.commits, window.wal_bytes) == (10.0, 10, 800)
    assert window.counted_s == {"kafka": 3.0}
    assert window.strangers_share == pytest.approx(0.3)
    assert window.holds(10.0)
    assert not window.holds(20.0)
