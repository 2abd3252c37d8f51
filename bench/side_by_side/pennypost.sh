#!/bin/bash
# Pennypost as a target of the side-by-side tools: smtp 11025, submission 11587, submissions 11465, lmtp 11024, imap 11143,
# imaps 11993, pop3 11110; what is for relay.test goes on to 12525; users p0001@bench.test … p0200, pbig; password pw.
# Checks are off, unless CHECKS=true; SIGN=true signs.
# PENNYPOST: the checkout; PENNYPOST_SOURCE: another folder with the package, as that of `make test-compiled`. WORKERS: processes (default 2).
. "$(dirname "$0")/common.sh"
D=$B/pennypost
PY=${PENNYPOST_PYTHON:-$PENNYPOST/.venv/bin/python}
export PYTHONPATH=${PENNYPOST_SOURCE:-$PENNYPOST/src}
setup() {
  mkdir -p $D
  cat > $D/pennypost.toml <<C
[server]
hostname = "mx.bench.test"
data_dir = "$D/data"
workers = ${WORKERS:-2}
[listeners]
smtp = "127.0.0.1:11025"
submission = "127.0.0.1:11587"
submissions = "127.0.0.1:11465"
lmtp = "127.0.0.1:11024"
imap = "127.0.0.1:11143"
imaps = "127.0.0.1:11993"
pop3 = "127.0.0.1:11110"
pop3s = "127.0.0.1:11995"
http = "127.0.0.1:11080"
[limits]
connections_per_address = 10000
[verification]
enabled = ${CHECKS:-false}
[junk]
enabled = ${CHECKS:-false}
[dkim]
sign = ${SIGN:-false}
[dns]
resolvers = [$([ "${CHECKS:-false}" = true ] && echo '"127.0.0.1:10053"')]
[smtp]
greeting_delay = "0 s"
[sending]
messages_per_hour = 0
messages_per_day = 0
recipients_per_hour = 0
recipients_per_day = 0
new_recipients_per_day = 0
freeze_new_recipients = 0
freeze_new_recipients_elsewhere = 0
[queue]
backup_for = ["relay.test"]
[[queue.smarthosts]]
host = "127.0.0.1"
port = 12525
tls = "off"
recipients = ["relay.test"]
[log]
level = "${LOG:-info}"
[auth]
allow_cleartext_login = "loopback"
C
  rm -rf $D/data $D/template
  "$PY" "$PENNYPOST/bench/side_by_side/provision.py" $D/template ${NUSERS:-200}
  cp -r $D/template $D/data
}
start() { cg_exec pennypost "$PY" -m pennypost serve --config $D/pennypost.toml >> $D/log 2>&1 &
  wait_port 11025; wait_port 11143; wait_port 11110; }
stop() { cg_kill pennypost; }
# fresh: the load users' mailboxes start empty
fresh() { stop; mkdir -p $B/trash; mv $D/data $B/trash/$(date +%s%N); cp -r $D/template $D/data; start; }
reset() { fresh; }
"$@"
