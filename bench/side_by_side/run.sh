#!/bin/bash
# Pennypost beside Postfix + Dovecot, in one run: run.sh WORKLOAD [ROUNDS] [TARGETS]
#
# Needs root (cgroups count processor time), Debian's postfix dovecot-imapd dovecot-pop3d dovecot-lmtpd openssl, the load
# tools in ../shared/bench, and a scratch folder BENCH_ROOT that other users can enter (Postfix and Dovecot run as theirs).
set -eu
export PENNYPOST=$(cd "$(dirname "$0")/../.." && pwd)
export BENCH_ROOT=${BENCH_ROOT:?name a scratch folder in BENCH_ROOT}
. "$PENNYPOST/bench/side_by_side/tools.sh"
copy_tools
cd "$scratch"
for peer in dovecot postfix pennypost; do peers/$peer.sh stop || true; peers/$peer.sh setup; done
trap 'for peer in pennypost postfix dovecot; do peers/$peer.sh stop || true; done' EXIT
python3 run.py "$1" --targets "${3:-postfix-sdbox,pennypost}" --rounds "${2:-3}" --start
