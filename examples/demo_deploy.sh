#!/bin/sh
# Pushes examples/hello, in a copy, to a remote that `sparki bind` makes: live, then two broken pushes while somebody keeps asking.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
project="$top/build/demo/hello"
python="$top/.venv/bin/python"
asking="$top/build/demo/asking"

sparki() { "$top/.venv/bin/sparki" "$@"; }
commit() { git -c user.name=Demo -c user.email=demo@example.com -c commit.gpgsign=false commit -q -a -m "$1"; }
ask() { "$python" "$top/examples/ask.py" --once "$1"; }
last() { sparki deployments -n 1 --jq '.deployments[0].status' | tr -d '"'; }
expect() { [ "$1" = "$2" ] || { echo "the demo went wrong: '$1' instead of '$2'" >&2; exit 1; }; }

leave() { # nothing of the demo stays, whatever happened; the daemon does
  exec 3>&- || true
  cd "$top"
  [ -d "$project/.git" ] || return 0
  sparki env down local --yes -C "$project" >/dev/null 2>&1 || true
  sparki unbind -q -C "$project" >/dev/null 2>&1 || true
}
leave # a demo that was killed may have left some
rm -rf "$project" "$asking"
mkdir -p "$(dirname "$project")"
cp -R "$top/examples/hello" "$project"
cd "$project"
port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url="http://127.0.0.1:$port"
sed "s/:8090/:$port/" "$top/examples/hello/sparki.yml" > sparki.yml
git init -q -b main
git add -A
commit "A service that greets"
trap leave EXIT
trap 'exit 130' INT HUP TERM

echo
echo "A web service lies in $project; its sparki.yml says where main goes."
echo
echo "\$ sparki bind"
sparki bind
echo
echo "\$ git push sparki main"
git push -q sparki main 2>&1
expect "$(last)" live
echo
echo "\$ curl $url/?name=Ada"
ask "$url/?name=Ada"

mkfifo "$asking"
"$python" "$top/examples/ask.py" "$url" < "$asking" > "$asking.said" &
asker=$!
exec 3> "$asking" # closed, it ends the asking

echo
echo "Now a commit that breaks a test:"
echo "\$ git push sparki main"
sed 's/"Hello"/"Good bye"/' hello/pages.py > pages.new && mv pages.new hello/pages.py
commit "Say good bye"
git push -q sparki main 2>&1
expect "$(last)" failed

echo
echo "And one that passes the tests, and can't start:"
echo "\$ git push sparki main"
git show HEAD~1:hello/pages.py > hello/pages.py
{ echo "import a_module_that_nobody_has"; cat hello/__main__.py; } > main.new && mv main.new hello/__main__.py
commit "Say hello again, with a new module"
git push -q sparki main 2>&1
expect "$(last)" failed

exec 3>&-
wait "$asker" || { cat "$asking.said"; echo "the demo went wrong: a request was not answered" >&2; exit 1; }
echo
echo "\$ curl $url/?name=Ada"
answer=$(ask "$url/?name=Ada")
echo "$answer"
expect "$answer" "Hello, Ada!"
cat "$asking.said"
echo
echo "\$ sparki deployments"
sparki deployments -n 3
echo
echo "\$ sparki env down local && sparki unbind"
sparki env down local --yes
sparki unbind
