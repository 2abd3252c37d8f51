"""Rspamd's scan worker on a Unix socket or a port, with few rules of its own: what it says has to be foreseeable."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.interop.tools import find_program
from tests.running import until

PLUGINS = Path("/usr/share/rspamd/plugins")

CONFIG = """
lua = "$RULESDIR/rspamd.lua"
options {{
  pidfile = "{folder}/rspamd.pid";
  filters = "{filters}";
  cache_file = "{folder}/symbols.cache";
  hs_cache_dir = "{folder}/";
  tempdir = "{folder}";
  control_socket = "{folder}/control.sock mode=0600";
  url_tld = "{folder}/suffixes.dat";
  local_addrs = [];
  dns {{ nameserver = ["127.0.0.1:{dns_port}"]; timeout = {dns_seconds}s; retransmits = {dns_tries}; }}
}}
logging {{ type = "file"; filename = "{folder}/rspamd.log"; level = "warning"; }}
metric "default" {{
  actions {{ reject = 15; "add header" = 6; greylist = 4; }}
  group "excessqp" {{ max_score = 2.4; }}
}}
modules {{ path = "{folder}/modules"; }}
settings {{}}
{modules}
worker "normal" {{ bind_socket = "{socket} mode=0600"; count = 1; }}
"""

RULES = """
local function rule(name, word, score)
  rspamd_config:register_symbol({
    name = name, score = score, description = 'It says ' .. word .. '.', group = 'ours',
    callback = function(task)
      return string.find(tostring(task:get_content()), word, 1, true) ~= nil
    end
  })
end
rule('OURS_BAD', 'badword', 20.0)
rule('OURS_MIDDLING', 'middlingword', 7.5)
rule('OURS_GOOD', 'goodword', -3.0)
rspamd_config:register_symbol({
  name = 'OURS_ENVELOPE', score = 0.5, group = 'ours',
  callback = function(task)
    local from, helo, ip = task:get_from('smtp')[1].addr, task:get_helo(), tostring(task:get_ip())
    local rcpts = task:get_recipients('smtp')
    task:set_milter_reply({
      add_headers = { ['X-Seen'] = string.format('%s %s %s %s', helo, ip, from, rcpts[#rcpts].addr) },
      remove_headers = { ['X-Gone'] = 0 },
    })
    if string.find(tostring(task:get_content()), 'laterword', 1, true) then
      task:set_pre_result('soft reject', 'Come back at tea time')
    end
    return true
  end
})
"""


@contextmanager
def rspamd(folder: Path, dns_port: int = 1, *, verifies: bool = False) -> Iterator[Path]:
    """Run Rspamd until the end of the `with`. Gives the path of its socket.

    `verifies`: with its own SPF, DKIM and DMARC, which ask the DNS at `dns_port` on loopback.
    """
    program = find_program("rspamd")
    assert program is not None
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "modules").mkdir()
    for name in ("spf", "dmarc") if verifies else ():
        shutil.copy(PLUGINS / f"{name}.lua", folder / "modules")
    socket, config = folder / "worker.sock", folder / "rspamd.conf"
    rules = folder / "rules"
    rules.mkdir()
    (rules / "rspamd.lua").write_text(RULES)
    (folder / "suffixes.dat").write_text("com\nexample\nnet\norg\n")  # the whole list takes it 15 s to compile
    config.write_text(
        CONFIG.format(
            folder=folder,
            socket=socket,
            dns_port=dns_port,
            dns_seconds=2 if verifies else 0.2,
            dns_tries=5 if verifies else 1,
            filters="dkim" if verifies else "",
            modules="spf {} dkim {} dmarc {}" if verifies else "",
        ).replace("$RULESDIR", str(rules))
    )
    user = ("--insecure",) if os.getuid() == 0 else ()
    with (folder / "output").open("wb") as log:
        process = subprocess.Popen(
            [program, "--no-fork", *user, "--config", str(config)], stdout=log, stderr=log, cwd=folder
        )
    try:
        until(lambda: process.poll() is not None or socket.exists(), why="rspamd does not start")
        assert process.poll() is None, (folder / "output").read_text()
        yield socket
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
