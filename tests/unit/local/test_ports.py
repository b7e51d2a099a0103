"""Which ports a stack takes."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import StackError
from headrace.local import ports


def taken() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def number(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def test_a_free_kept_port_is_kept() -> None:
    with taken() as listener:
        port = number(listener)
    assert ports.choose(["kafka"], {"kafka": port}, free_ports=False) == {"kafka": port}
    assert ports.choose(["kafka"], {"kafka": port}, free_ports=True) == {"kafka": port}


def test_a_taken_port_is_refused_with_its_owner_and_the_way_out() -> None:
    with taken() as listener:
        with pytest.raises(StackError) as refusal:
            ports.choose(["kafka"], {"kafka": number(listener)}, free_ports=False)

        assert f"Port {number(listener)}, wanted for kafka, is taken by" in refusal.value.problem
        assert "headrace up --free-ports" in refusal.value.mend


def test_a_taken_port_is_replaced_when_free_ones_may_be_taken() -> None:
    with taken() as listener:
        chosen = ports.choose(["kafka"], {"kafka": number(listener)}, free_ports=True)
        assert chosen["kafka"] != number(listener)


@given(st.lists(st.sampled_from(sorted(ports.DEFAULT_PORTS)), unique=True))
def test_free_ports_differ_and_no_outgoing_connection_can_take_them(names: list[str]) -> None:
    chosen = ports.choose(names, {}, free_ports=True)

    assert list(chosen) == names
    assert len(set(chosen.values())) == len(names)
    assert all(ports.LOWEST_FREE_PORT <= port < 32_768 or port < 61_000 for port in chosen.values())


def test_default_ports_differ() -> None:
    assert len(set(ports.DEFAULT_PORTS.values())) == len(ports.DEFAULT_PORTS)


def test_a_port_nobody_listens_on_has_no_owner() -> None:
    with taken() as listener:
        port = number(listener)
        assert "pid" in (ports.owner_of(port) or "")
    assert ports.owner_of(port) is None
