#!/bin/sh
# crash.sh FOLDER KIND COMMAND...: runs a host call or an agent, and kills the orchestrator when FOLDER/plan says so.
# A plan is "STEP WHEN": STEP is host-3 (the third host call), agent-2, or change (any call that changes something);
# WHEN is instead (the command is not run), during (it is run a little later) or after.
folder=$1 kind=$2
shift 2
[ "$kind $2" = "host agent" ] && exec "$@" # an agent's own call
n=1
while ! mkdir "$folder/$kind-$n" 2>/dev/null; do n=$((n + 1)); done
read -r step when <"$folder/plan"
case "$step $3" in
"change start-"* | "change transition" | "change accept-mission" | "$kind-$n "*) ;;
*) when=never ;;
esac
strike() { [ "$when" = "$1" ] && kill -9 "$(cat "$folder/pid")"; }
strike instead && exit 1
strike during && sleep 0.3
"$@"
status=$?
[ $status = 0 ] && printf '%s\0' "$*" >>"$folder/done"
strike after
exit $status
