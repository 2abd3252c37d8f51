from pathlib import Path

import pytest

from pennypost.app.config.describe import show
from pennypost.app.config.load import load_config
from pennypost.app.config.origin import key_lines
from pennypost.app.config.settings import Config
from pennypost.model.errors import ConfigError
from pennypost.net.endpoint import TcpEndpoint

FILE = """\
# A comment = not a key
[server]
hostname = "mx.example"  # ours
workers = 2

[listeners]
smtp = [
  "127.0.0.1:2525",
  "[::1]:2525",
]
"imap" = "off"
dns.x = 1
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "pennypost.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_no_file_is_the_defaults() -> None:
    assert load_config().config == Config()


def test_a_file_and_the_command_line(tmp_path: Path) -> None:
    file = write(tmp_path, '[server]\nhostname = "a.example"\ndata_dir = "mail"\nworkers = 2\n')
    loaded = load_config(file, ["server.hostname=b.example", "listeners.smtp=127.0.0.1:2525", "listeners.http=off"])
    assert loaded.config.server.hostname == "b.example"
    assert loaded.config.server.data_dir == tmp_path / "mail"
    assert loaded.config.listeners.smtp == (TcpEndpoint("127.0.0.1", 2525),)
    assert loaded.config.listeners.http == ()
    assert loaded.origin("server.hostname") == "command line"
    assert loaded.origin("server.workers") == f"{file}:4"
    assert loaded.origin("server.user") == "default"
    shown = {key: (value, origin) for key, value, origin in show(loaded)}
    assert shown["listeners.smtp"] == ('["127.0.0.1:2525"]', "command line")
    assert shown["server.data_dir"] == (f'"{tmp_path / "mail"}"', f"{file}:3")
    assert shown["server.user"] == ('""', "default")


def test_lines_of_keys() -> None:
    lines = key_lines(FILE)
    assert lines["server.hostname"] == 3
    assert lines["listeners.smtp"] == 7
    assert lines["listeners.imap"] == 11
    assert lines["listeners.dns.x"] == 12
    assert "listeners.[::1]" not in lines
    assert key_lines('[[tls.c]]\nchain = "x"\n[[tls.c]]\nchain = """\nkey = 1\n"""\n')["tls.c.1.chain"] == 4


def test_every_problem_with_its_line(tmp_path: Path) -> None:
    file = write(tmp_path, '[server]\nworkers = 0\n[listeners]\nsmpt = "off"\nimap = "x"\n[lgo]\n')
    with pytest.raises(ConfigError) as caught:
        load_config(file, ["server.stop_time=3", "nonsense"])
    problems = {p.key: p.problem for p in caught.value.problems}
    assert problems["server.workers"] == "expected 1 to 256, not 0 (line 2)"
    assert problems["listeners.smpt"] == 'unknown key; did you mean "smtp"? (line 4)'
    assert "expected an address" in problems["listeners.imap"]
    assert 'did you mean "log"?' in problems["lgo"]
    assert "expected a duration" in problems["server.stop_time"]
    assert problems["nonsense"] == 'expected "key=value", as "server.workers=2"'


@pytest.mark.parametrize("text", ["5", '["a"]', "[]", "true", '""', '"\\u0000"'])
def test_what_is_no_path(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="data_dir: expected a path in quotes"):
        load_config(write(tmp_path, f"[server]\ndata_dir = {text}\n"))


def test_a_home_folder_of_nobody(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data_dir: there is no home folder"):
        load_config(write(tmp_path, '[server]\ndata_dir = "~nobody-is-called-so/data"\n'))


def test_lmtp_is_not_spoken_where_smtp_is() -> None:
    """RFC 2033 §5."""
    with pytest.raises(ConfigError, match="RFC 2033"):
        load_config(None, ["listeners.lmtp=127.0.0.1:25", "listeners.smtp=off"])


@pytest.mark.parametrize("name", ["bad host", "mx.t\u00e9st.example", "x\\r\\nBcc: y", "-a", "[192.0.2.1]", "a;b"])
def test_what_is_no_name_of_a_host(name: str) -> None:
    """It stands in greetings, Received fields and reports, where nothing is quoted."""
    with pytest.raises(ConfigError, match="hostname: expected"):
        load_config(None, [f'server.hostname="{name}"'])


@pytest.mark.parametrize("separator", ["++", "x", "7", ".", "@", " ", "é"])
def test_what_parts_no_subaddress(separator: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.subaddress_separator: expected one of"):
        load_config(None, [f'store.subaddress_separator="{separator}"'])


@pytest.mark.parametrize("separator", ["", "+", "-", "="])
def test_what_parts_a_subaddress(separator: str) -> None:
    assert (
        load_config(None, [f'store.subaddress_separator="{separator}"']).config.store.subaddress_separator == separator
    )


def test_two_doors_on_one_address() -> None:
    with pytest.raises(ConfigError, match=r"taken by listeners\.smtp"):
        load_config(None, ["listeners.smtp=127.0.0.1:25", "listeners.imap=127.0.0.1:25"])


def test_what_is_no_toml_and_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not TOML"):
        load_config(write(tmp_path, "[server\n"))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "missing.toml")
