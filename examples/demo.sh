#!/bin/sh
# Runs the workflow of examples/tally with Sparki, in a copy that is a git repository of its own.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
project="$top/build/demo/tally"
sparki="$top/.venv/bin/sparki"

rm -rf "$project"
mkdir -p "$(dirname "$project")"
cp -R "$top/examples/tally" "$project"
cd "$project"
git init -q -b main
git add -A
git -c user.name=Demo -c user.email=demo@example.com -c commit.gpgsign=false commit -q -m "A word counter"

echo "A project with a GitHub workflow lies in $project. Its pipeline, as planned:"
"$sparki" run --plan
echo
echo "And run:"
"$sparki" run
status=$("$sparki" show latest --json | "$top/.venv/bin/python" -c 'import json, sys; print(json.load(sys.stdin)["status"])')
echo
echo "status: $status"
echo "look at it:  cd $project"
echo "             $sparki show latest"
echo "             $sparki logs latest package"
echo "             $sparki runs"
test "$status" = success
