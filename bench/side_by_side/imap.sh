#!/bin/bash
# IMAP and POP3 of Pennypost beside Dovecot, in one run: imap.sh [ROUNDS [ROWS]]
#
# Needs what run.sh needs. Makes mailboxes of 10,000 and 100,000 messages on both sides (some minutes; kept in BENCH_ROOT for
# the next time), says how large they are on disk, and runs bench/imap.py. ROWS: only rows whose name holds one of these
# texts. COLD=1: the servers are started anew and the page cache is dropped before each round.
set -eu
export PENNYPOST=$(cd "$(dirname "$0")/../.." && pwd)
export BENCH_ROOT=${BENCH_ROOT:?name a scratch folder in BENCH_ROOT}
. "$PENNYPOST/bench/side_by_side/tools.sh"
copy_tools
cd "$scratch"
if [ ! -e "$BENCH_ROOT/filled" ]; then
  for peer in dovecot pennypost; do peers/$peer.sh stop || true; NUSERS=100 peers/$peer.sh setup; peers/$peer.sh start; done
  for target in postfix-sdbox pennypost; do
    for size in 10 100; do python3 imap_load.py fill --target $target --box b${size}k -n ${size}000; done
    sync; du -sm "$BENCH_ROOT/mail/dc/sbig" "$BENCH_ROOT/pennypost/data" | sed "s/^/MiB with 110,000 messages: /"
  done
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
measure() { (cd "$PENNYPOST" && "${PENNYPOST_PYTHON:-.venv/bin/python}" -m bench.imap dovecot=127.0.0.1:10143:10110:sbig@bench.test:pw \
  pennypost=127.0.0.1:11143:11110:pbig@bench.test:pw --rounds "$1" ${2:+--only "$2"}); }
if [ -n "${COLD:-}" ]; then
  for round in $(seq "${1:-5}"); do
    for peer in dovecot pennypost; do peers/$peer.sh stop || true; done
    sync; echo 3 > /proc/sys/vm/drop_caches
    for peer in dovecot pennypost; do peers/$peer.sh start; done
    measure 1 "${2:-LOGIN,FETCH (}"
  done
else
  for peer in dovecot pennypost; do peers/$peer.sh start; done
  measure "${1:-5}" "${2:-}"
fi
