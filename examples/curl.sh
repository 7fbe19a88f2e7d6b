#!/bin/sh
# The HTTP API with nothing but curl: a chat job, documents and a search, and what they cost.
# Start a stack with `make up` first, or set SLUICEWAY_URL and SLUICEWAY_KEY.
set -eu

ready="${SLUICEWAY_HOME:-$(dirname "$0")/../.sluiceway}/ready.json"

# Prints one value of the JSON on standard input: `field keys.paid`.
field() {
    python3 -c '
import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    value = value[int(name) if name.isdigit() else name]
print(value)' "$1"
}

# Calls the API; -f turns a refusal into a failure, with its body shown.
call() {
    method=$1 path=$2
    shift 2
    curl --silent --show-error --fail-with-body -X "$method" "$url$path" \
        -H "Authorization: Bearer $key" -H 'Content-Type: application/json' "$@"
}

if [ -z "${SLUICEWAY_URL:-}" ] && [ ! -f "$ready" ]; then
    echo "no running stack: start one with \`make up\`, or set SLUICEWAY_URL and SLUICEWAY_KEY" >&2
    exit 1
fi
url=${SLUICEWAY_URL:-$(field api <"$ready")}
key=${SLUICEWAY_KEY:-$(field keys.paid <"$ready")}

echo "== A chat job; the same Idempotency-Key always gives the same job"
job=$(call POST /v1/chat/jobs -H "Idempotency-Key: curl-example-$$" \
    -d '{"messages":[{"role":"user","content":"Why do rivers meander?"}]}' | field id)
echo "$job"

echo "== Its events, as they happen (server-sent events; the same address takes a websocket)"
call GET "/v1/jobs/$job/events" --no-buffer

echo "== The job afterwards"
job_json=$(call GET "/v1/jobs/$job")
for name in status provider latency_ms cost_usd result.message.content; do
    printf '%-24s%s\n' "$name" "$(printf %s "$job_json" | field "$name")"
done

echo "== Documents into a collection"
call PUT /v1/collections/curl-example >/dev/null
ingestion=$(call POST /v1/collections/curl-example/documents -d '{"documents":[
    {"id":"lock","text":"A lock lifts ships from one level of a canal to the next."},
    {"id":"mill","text":"A mill grinds grain with the power of falling water."},
    {"id":"gate","text":"A sluice gate holds the river back until the field is dry."}]}' |
    field ingestion_id)
tries=0
while status=$(call GET "/v1/ingestions/$ingestion" | field status) && [ "$status" = running ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 60 ]; then
        echo "ingestion $ingestion is still running" >&2
        exit 1
    fi
    sleep 1
done
echo "$ingestion $status"

echo "== A search"
call POST /v1/collections/curl-example/search -d '{"query":"grind grain","k":1}'
echo

if [ -z "${SLUICEWAY_KEY:-}" ]; then
    key=$(field admin_key <"$ready")
    echo "== What everything cost, by provider (admin)"
    call GET '/v1/admin/usage?group_by=provider,operation'
    echo
fi
