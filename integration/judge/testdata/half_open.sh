#!/usr/bin/env bash
# tcp_server:half_open with socat: one handler for each connection.
addr=127.0.0.1:8080 allow=true
for flag; do
  case $flag in
    --addr=*) addr=${flag#*=} ;;
    --allow=*) allow=${flag#*=} ;;
  esac
done

if [[ $1 == handle ]]; then # stdin is what the client sends, stdout goes to it, 3 are our lines
  peer=$SOCAT_PEERADDR:$SOCAT_PEERPORT
  most=$((64 << 20))
  data=$(mktemp)
  trap 'rm -f "$data"' EXIT
  head -c $((most + 1)) >"$data"
  size=$(stat -c %s "$data")
  if ((size > most)); then
    echo "$peer sends more than $most bytes" >&2
  else
    echo "$peer ended after $size bytes" >&3
    if [[ $allow == true ]] && cat "$data"; then
      echo "$peer replied $size bytes" >&3
    fi
  fi
  exec <&- >&-
  echo "$peer closed" >&3
  exit
fi

exec 3>&1
log=$(mktemp)
# -t: once the client has sent FIN, the handler has this long for its reply.
socat -d -d -t 60 "TCP4-LISTEN:${addr##*:},bind=${addr%:*},reuseaddr,fork,backlog=100" \
  "SYSTEM:exec bash '$0' handle --allow=$allow" 2> >(tee "$log" | grep --line-buffered -E ' [EW] |more than' >&2) &
trap 'kill $!; rm -f "$log"; echo closed; exit 0' TERM INT
until port=$(grep -oE -m 1 'listening on AF=2 .*' "$log"); do sleep 0.02; done
echo "listening on ${port#listening on AF=2 }"
wait
