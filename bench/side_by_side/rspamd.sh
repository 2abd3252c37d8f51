#!/bin/bash
# Rspamd as Debian sets it up, a milter of the Postfix beside it: run.sh sets it up behind postfix.sh. Both it and Pennypost ask a
# resolver on 127.0.0.1:10053 (unbound) in which no name exists. No Redis: its Bayes and its memory are off.
. "$(dirname "$0")/common.sh"
D=$B/rspamd
setup() {
  mkdir -p $D/conf/local.d $D/db $D/run $D/log
  cat > $D/unbound.conf <<C
server:
  interface: 127.0.0.1@10053
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  directory: "$D"
  pidfile: ""
  local-zone: "." static
C
  cat > $D/conf/local.d/options.inc <<C
local_addrs = [];
dns { nameserver = ["127.0.0.1:10053"]; }
C
  echo 'bind_socket = "127.0.0.1:10334";' > $D/conf/local.d/worker-controller.inc
  echo 'bind_socket = "127.0.0.1:10333"; count = 2;' > $D/conf/local.d/worker-normal.inc
  cat > $D/conf/local.d/worker-proxy.inc <<C
bind_socket = "127.0.0.1:10332";
milter = yes;
timeout = 120s;
upstream "local" { default = yes; self_scan = yes; }
count = 2;
C
  echo 'enabled = false;' > $D/conf/local.d/worker-fuzzy.inc
  chown -R _rspamd:_rspamd $D
  postconf -c $B/postfix/etc -e smtpd_milters=inet:127.0.0.1:10332 milter_default_action=tempfail
}
start() {
  cg_exec unbound unbound -c $D/unbound.conf > $D/unbound.log 2>&1 &
  cg_exec rspamd rspamd -f -i -u _rspamd -g _rspamd -c /etc/rspamd/rspamd.conf --var=LOCAL_CONFDIR=$D/conf --var=DBDIR=$D/db --var=RUNDIR=$D/run --var=LOGDIR=$D/log > $D/out 2>&1 &
  wait_port 10332
}
stop() { cg_kill rspamd; cg_kill unbound; }
reset() { :; }
fresh() { :; }
"$@"
