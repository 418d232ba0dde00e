#!/bin/bash
# The hook that people write: one counter per session in a JSON file, with jq, a lock, and a rename.  Nothing is synced.
set -eu
state=$1
input=$(cat)
session=$(jq -r .session_id <<<"$input")
file=$state/$session.json
exec 9>"$file.lock"
flock 9
[ -s "$file" ] || echo '{"tool_calls":0}' >"$file"
jq '.tool_calls += 1' "$file" >"$file.$$"
mv "$file.$$" "$file"
