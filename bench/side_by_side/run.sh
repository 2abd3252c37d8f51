#!/bin/bash
# Pennypost beside Postfix + Dovecot, in one run: run.sh WORKLOAD [ROUNDS] [TARGETS]
#
# With all checks on: CHECKS=true run.sh w1 3 postfix-rspamd,pennypost, which needs Debian's rspamd and unbound, too.
#
# Needs root (cgroups count processor time), Debian's postfix dovecot-imapd dovecot-pop3d dovecot-lmtpd openssl, the load
# tools in ../shared/bench, and a scratch folder BENCH_ROOT that other users can enter (Postfix and Dovecot run as theirs).
set -eu
export PENNYPOST=$(cd "$(dirname "$0")/../.." && pwd)
export BENCH_ROOT=${BENCH_ROOT:?name a scratch folder in BENCH_ROOT}
. "$PENNYPOST/bench/side_by_side/tools.sh"
copy_tools
cd "$scratch"
peers="dovecot postfix pennypost"
case "${3:-}" in *rspamd*) peers="dovecot postfix rspamd pennypost" ;; esac
for peer in $peers; do peers/$peer.sh stop || true; peers/$peer.sh setup; done
trap 'for peer in $peers; do peers/$peer.sh stop || true; done' EXIT
python3 run.py "$1" --targets "${3:-postfix-sdbox,pennypost}" --rounds "${2:-3}" --start
