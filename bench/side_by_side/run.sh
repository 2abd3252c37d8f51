#!/bin/bash
# Pennypost beside Postfix + Dovecot, in one run: run.sh WORKLOAD [ROUNDS] [TARGETS]
#
# Needs root (cgroups count processor time), Debian's postfix dovecot-imapd dovecot-pop3d dovecot-lmtpd openssl, the load
# tools in ../shared/bench, and a scratch folder BENCH_ROOT that other users can enter (Postfix and Dovecot run as theirs).
set -eu
export PENNYPOST=$(cd "$(dirname "$0")/../.." && pwd)
export BENCH_ROOT=${BENCH_ROOT:?name a scratch folder in BENCH_ROOT}
tools=${BENCH_TOOLS:-$PENNYPOST/../shared/bench}
[ -e "$tools/run.py" ] || { echo "the load tools are not in $tools" >&2; exit 1; }
scratch=$BENCH_ROOT/tools
rm -rf "$scratch"; mkdir -p "$scratch"; cp -r "$tools/." "$scratch"; chmod -R u+w "$scratch"
cp "$PENNYPOST/bench/side_by_side/pennypost.sh" "$scratch/peers/"; chmod +x "$scratch"/peers/*.sh
python3 - "$scratch/targets.json" "$PENNYPOST/bench/side_by_side/target.json" <<'P'
import json, sys
known, ours = (json.load(open(name)) for name in sys.argv[1:3])
json.dump({**known, **ours}, open(sys.argv[1], "w"), indent=1)
P
# Some generated paragraphs are cut between CR and LF, which leaves a bare CR. Pennypost refuses those (RFC 5321 §2.3.8),
# Postfix does not: all targets get whole lines instead.
sed -i 's/g\.message(i)\.replace(b"\\r\\n\."/g.message(i).replace(b"\\r\\r\\n", b"\\r\\n").replace(b"\\r\\n."/' "$scratch/smtp_load.py"
grep -q 'r\\r\\n' "$scratch/smtp_load.py"
cd "$scratch"
for peer in dovecot postfix pennypost; do peers/$peer.sh stop || true; peers/$peer.sh setup; done
trap 'for peer in pennypost postfix dovecot; do peers/$peer.sh stop || true; done' EXIT
python3 run.py "$1" --targets "${3:-postfix-sdbox,pennypost}" --rounds "${2:-3}" --start
