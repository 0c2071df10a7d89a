# Keeps one mount on a node: mounts, watches, unmounts. Run by bash as a job of the node's agent.
#
# $stix_point is where to mount, $stix_cache a folder for the tool, $stix_bound how many seconds the
# mount may be silent; stix_argv is the tool's command line.
#
# A process that waits for a frozen FUSE server cannot be killed. So a server that is silent for too
# long is killed here: whoever waits for it gets an error, whether an engine is there or not.

unmount() {
  for program in fusermount3 fusermount; do
    "$program" -u "$stix_point" 2>/dev/null && return
  done
  for program in fusermount3 fusermount; do
    "$program" -u -z "$stix_point" 2>/dev/null && return
  done
  umount -l "$stix_point" 2>/dev/null
}

# Whether the mount answers in time. Nobody waits for who asks: that may take for ever.
answers() {
  stat "$stix_point" >/dev/null 2>&1 &
  asked=$! waited=0
  while kill -0 "$asked" 2>/dev/null; do
    [ "$waited" -lt "$stix_bound" ] || return 1
    sleep 1
    waited=$((waited + 1))
  done
}

finish() {
  trap '' TERM INT
  kill -TERM "$server" 2>/dev/null
  unmount
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 "$server" 2>/dev/null || break
    sleep 0.2
  done
  kill -KILL "$server" 2>/dev/null
  unmount
  exit "$1"
}

# What an earlier server left behind at this place would answer no more.
unmount
mkdir -p -m 700 "$stix_point" "$stix_cache" || exit 1
"${stix_argv[@]}" &
server=$!
trap 'finish 143' TERM INT
while kill -0 "$server" 2>/dev/null; do
  sleep 2 &
  wait "$!"
  if ! answers; then
    echo "stix: the mount was silent for $stix_bound s: its server is killed"
    kill -KILL "$server"
    finish 75
  fi
done
wait "$server"
code=$?
echo "stix: the mount's server ended with $code"
unmount
exit 75
