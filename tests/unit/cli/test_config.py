import json
from pathlib import Path

from click.testing import CliRunner

from pennypost import __version__
from pennypost.cli.main import main


def run(*arguments: str, **environment: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, arguments, env=environment)
    return result.exit_code, result.stdout, result.stderr


def test_check(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('[server]\nhostname = "mx.example"\n')
    assert run("config", "check", "--config", str(file)) == (0, f"{file}: ok\n", "")


def test_every_problem_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('[server]\nhostnaem = "mx.example"\nworkers = "x"\n')
    status, _, errors = run("config", "check", "--config", str(file))
    assert status == 1
    assert errors.splitlines() == [
        f'pennypost: {file}: server.hostnaem: unknown key; did you mean "hostname"? (line 2)',
        f'{file}: server.workers: expected a whole number or "auto", not "x" (line 3)',
    ]


def test_a_user_nobody_knows() -> None:
    status, _, errors = run("config", "check", "--set", "server.user=nobody-of-this-name")
    assert (status, errors) == (1, "pennypost: server.user: there is no user nobody-of-this-name\n")


def test_show_says_where_values_come_from(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('[http]\nmetrics_token = { env = "TOKEN" }\n')
    arguments = ("config", "show", "--set", "server.workers=3")
    status, output, _ = run(*arguments, "--json", PENNYPOST_CONFIG=str(file), TOKEN="hunter2")
    assert status == 0
    assert "hunter2" not in output
    found = {record["key"]: (record["value"], record["origin"]) for record in json.loads(output)}
    assert found["server.workers"] == ("3", "command line")
    assert found["http.metrics_token"] == ("(secret)", f"{file}:2")
    assert found["log.level"] == ('"info"', "default")
    status, output, _ = run(*arguments)
    assert any(line.split() == ["server.workers", "=", "3", "#", "command", "line"] for line in output.splitlines())


def test_what_is_called_wrongly_is_status_2() -> None:
    assert run("config", "shwo")[0] == 2
    assert run("no-such-command")[0] == 2
    assert run("--version")[:2] == (0, f"pennypost, version {__version__}\n")
