#!/bin/bash
# IMAP and POP3 of Pennypost beside Dovecot, in one run: imap.sh [ROUNDS [ROWS]]
#
# Needs what run.sh needs. Makes mailboxes of 10,000 and 100,000 messages on both sides (some minutes; kept in BENCH_ROOT for
# the next time), says how large they are on disk, and runs bench/imap.py. ROWS: only rows whose name holds one of these
# texts. Several of these may be set:
#   COLD=1                  before each measurement the servers are started anew and the page cache is dropped
#   IDLE=N                  says what N idle TLS connections (IMAP, in IDLE) take of memory on each side, and no more
#   PENNYPOST_SOURCE=FOLDER the package of another folder, as that of compiled modules
set -eu
export PENNYPOST=$(cd "$(dirname "$0")/../.." && pwd)
export BENCH_ROOT=${BENCH_ROOT:?name a scratch folder in BENCH_ROOT}
. "$PENNYPOST/bench/side_by_side/tools.sh"
copy_tools
cd "$scratch"
run_python() { (cd "$PENNYPOST" && PYTHONPATH=${PENNYPOST_SOURCE:-$PENNYPOST/src} "${PENNYPOST_PYTHON:-.venv/bin/python}" "$@"); }
# Wait until the full-text index has caught up.
indexed() {
  until run_python -m pennypost search status --config "$BENCH_ROOT/pennypost/pennypost.toml" --json |
    python3 -c 'import json, sys; sys.exit(any(one["pending"] for one in json.load(sys.stdin)))'; do sleep 2; done
}
sizes() {
  echo "| MiB on disk, 110,000 messages | |"; echo "|---|---:|"
  (cd "$BENCH_ROOT" && du -sm mail/dc/sbig pennypost/data pennypost/data/pennypost.db pennypost/data/search.db) |
    sed -E 's/^([0-9]+)\s+(.*)/| \2 | \1 |/'
}
if [ ! -e "$BENCH_ROOT/filled" ]; then
  for peer in dovecot pennypost; do peers/$peer.sh stop || true; NUSERS=100 peers/$peer.sh setup; peers/$peer.sh start; done
  for target in postfix-sdbox pennypost; do
    for size in 10 100; do python3 imap_load.py fill --target $target --box b${size}k -n ${size}000; done
    [ $target = postfix-sdbox ] || indexed
  done
  for peer in dovecot pennypost; do peers/$peer.sh stop; done  # which empties the log
  sync; sizes | tee "$BENCH_ROOT/sizes"
  for peer in dovecot pennypost; do peers/$peer.sh start; done
  python3 - <<'P'
import imap_load
from loadlib import targets
for name in ("postfix-sdbox", "pennypost"):  # what POP3 reads
    target = targets()[name]
    client = imap_load.conn(target, target["big_user"])
    client.select("b100k")
    client.cmd("COPY 1:* INBOX", keep=False)
    client.close()
P
  touch "$BENCH_ROOT/filled"
  for peer in dovecot pennypost; do peers/$peer.sh stop; done
fi
trap 'for peer in pennypost dovecot; do peers/$peer.sh stop || true; done' EXIT
[ ! -e "$BENCH_ROOT/sizes" ] || cat "$BENCH_ROOT/sizes"
for peer in dovecot pennypost; do peers/$peer.sh stop || true; peers/$peer.sh start; done
if [ -n "${IDLE:-}" ]; then
  for target in postfix-sdbox pennypost; do
    python3 imap_load.py idleconns --target $target -n 200 > /dev/null  # what the first ones make a server take is not theirs
    echo "$target:"; python3 imap_load.py idleconns --target $target -n "$IDLE"
  done
  exit
fi
cat > anew.sh <<C
export BENCH_ROOT="$BENCH_ROOT" PENNYPOST="$PENNYPOST" PENNYPOST_SOURCE="${PENNYPOST_SOURCE:-}" PENNYPOST_PYTHON="${PENNYPOST_PYTHON:-}"
cd "$scratch" && for peer in dovecot pennypost; do peers/\$peer.sh stop || true; done
sync; echo 3 > /proc/sys/vm/drop_caches
for peer in dovecot pennypost; do peers/\$peer.sh start; done > /dev/null 2>&1 < /dev/null
C
[ -z "${COLD:-}" ] || ROWS=${2:-LOGIN,FETCH,SEARCH,SORT,THREAD}
(cd "$PENNYPOST" && "${PENNYPOST_PYTHON:-.venv/bin/python}" -m bench.imap dovecot=127.0.0.1:10143:10110:sbig@bench.test:pw \
  pennypost=127.0.0.1:11143:11110:pbig@bench.test:pw --rounds "${1:-5}" --only "${ROWS:-${2:-}}" ${COLD:+--before "bash $scratch/anew.sh"})
