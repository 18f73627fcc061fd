#!/bin/sh
# pull-quarter.sh PLAN QUARTER DIR: writes all pages of a quarter's reports into DIR, which otherwise stays unchanged.
# RATA_SERVER and RATA_TOKEN come from the environment. Pages of one state have tags that begin alike; a quarter that
# is written to while this reads it is left for the next run (exit code 75).
set -eu
url="$RATA_SERVER/v1/plans/$1/progress/$2" dir=$3 page=1 after='' first=''
mkdir -p "$dir" && new=$(mktemp -d "$dir/.new-XXXXXX") && trap 'rm -rf "$new"' EXIT
while :; do
  file=$new/page-$(printf %03d "$page").json
  status=$(curl -s --compressed --retry 5 --max-time 300 -H "Authorization: Bearer $RATA_TOKEN" -o "$file" -w '%{http_code}' \
    --etag-compare "$dir/etag" --etag-save "$new/etag-$page" "$url${after:+?after=$after}") || status="curl $?, HTTP $status"
  [ "$status" = 304 ] && echo "$1 $2: nothing new" && exit 0
  [ "$status" = 200 ] || { echo "$1 $2: $status" >&2; cat "$file" >&2 2>/dev/null || true; exit 1; }
  state=$(cut -d- -f1 "$new/etag-$page")
  [ "$state" = "${first:=$state}" ] || { echo "$1 $2: written to meanwhile, next time" >&2; exit 75; }
  after=$(sed -n 's/.*],"next":"\([^"]*\)".*/\1/p' "$file")
  [ -n "$after" ] || break
  page=$((page + 1))
done
rm -f "$dir"/page-*.json && mv "$new"/page-*.json "$dir/" && mv "$new/etag-1" "$dir/etag"
echo "$1 $2: $page pages"
