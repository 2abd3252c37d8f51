# Sourced: a scratch copy of the load tools that knows Pennypost as a target.
tools=${BENCH_TOOLS:-$PENNYPOST/../shared/bench}
[ -e "$tools/run.py" ] || { echo "the load tools are not in $tools" >&2; exit 1; }
scratch=$BENCH_ROOT/tools

copy_tools() {
  rm -rf "$scratch"; mkdir -p "$scratch"; cp -r "$tools/." "$scratch"; chmod -R u+w "$scratch"
  cp "$PENNYPOST"/bench/side_by_side/{pennypost,rspamd}.sh "$scratch/peers/"; chmod +x "$scratch"/peers/*.sh
  python3 - "$scratch/targets.json" "$PENNYPOST/bench/side_by_side/target.json" <<'P'
import json, sys
known, ours = (json.load(open(name)) for name in sys.argv[1:3])
json.dump({**known, **ours}, open(sys.argv[1], "w"), indent=1)
P
  # Some generated paragraphs are cut between CR and LF, which leaves a bare CR. Pennypost refuses those (RFC 5321 §2.3.8),
  # Postfix does not: all targets get whole lines instead.
  sed -i 's/g\.message(i)\.replace(b"\\r\\n\."/g.message(i).replace(b"\\r\\r\\n", b"\\r\\n").replace(b"\\r\\n."/' "$scratch/smtp_load.py"
  grep -q 'r\\r\\n' "$scratch/smtp_load.py"
}
