"""The state folder: whose it is, what it keeps, how private it is."""

import re
from pathlib import Path

import pytest

from common.errors import StackError
from headrace.connection import find_connection
from headrace.local.services import MODELS_TOML, forget_models_file, write_models_file
from headrace.local.state import ProcessRecord, RunRecord, State, home, write_private


@pytest.fixture
def state(tmp_path: Path) -> State:
    made = State(tmp_path / "a state")
    made.acquire()
    return made


def test_the_folder_comes_from_the_environment_or_the_current_folder(tmp_path: Path) -> None:
    assert home({"HEADRACE_HOME": str(tmp_path / "x")}) == tmp_path / "x"
    assert home({}) == Path.cwd() / ".headrace"


def test_secrets_are_made_once_and_private(state: State) -> None:
    first = state.secrets()

    assert state.secrets() == first
    assert (state.folder / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", first.kafka_cluster_id)
    assert first.postgres_password not in repr(first)
    assert first.valkey_password not in repr(first)


def test_passwords_need_no_escaping_in_urls(state: State) -> None:
    made = state.secrets()
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", made.postgres_password)
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", made.valkey_password)


def test_ports_are_added_to_those_kept(state: State) -> None:
    state.keep_ports({"kafka": 1})
    state.keep_ports({"valkey": 2})
    assert state.ports() == {"kafka": 1, "valkey": 2}


def test_one_holder_at_a_time(state: State) -> None:
    assert state.locked()
    with pytest.raises(StackError, match="already runs"):
        State(state.folder).acquire()

    state.release()

    assert not state.locked()
    State(state.folder).acquire()


def test_a_broken_run_record_reads_as_none(state: State) -> None:
    write_private(state.folder / "run.json", "{")
    assert state.run_record() is None


def test_deleting_spares_what_is_not_ours(state: State) -> None:
    state.secrets()
    (state.folder / "kafka").mkdir()
    (state.folder / "kafka" / "server.properties").write_text("")
    (state.folder / "notes.txt").write_text("mine")

    state.delete()

    assert [entry.name for entry in state.folder.iterdir()] == ["notes.txt"]


def test_deleting_all_removes_the_folder(state: State) -> None:
    write_models_file(state)
    forget_models_file(state)
    state.delete()
    assert not state.folder.exists()


def test_the_models_file_is_the_operators_once_written(state: State) -> None:
    write_models_file(state)
    assert state.models_file.read_text() == MODELS_TOML
    state.models_file.write_text("mine")

    write_models_file(state)
    forget_models_file(state)

    assert state.models_file.read_text() == "mine"


def test_a_connection_is_found_in_the_environment_first(state: State) -> None:
    environ = {"HEADRACE_HOME": str(state.folder), "HEADRACE_URL": "http://there/", "HEADRACE_API_KEY": "k"}
    connection = find_connection(environ)

    assert (connection.url, connection.api_key) == ("http://there", "k")
    assert "k'" not in repr(connection)


def test_a_connection_is_found_in_a_running_state(state: State) -> None:
    environ = {"HEADRACE_HOME": str(state.folder)}
    with pytest.raises(StackError, match="No Headrace runs"):
        find_connection(environ)

    me = ProcessRecord(pid=1, started_ticks=1, port=8123)
    state.keep_run_record(RunRecord(supervisor=me, processes={"ingestion": me}))
    with pytest.raises(StackError, match="no API key"):
        find_connection(environ)
    write_private(state.api_key_file, "secret\n")

    assert find_connection(environ).url == "http://127.0.0.1:8123"
    assert find_connection(environ).api_key == "secret"
