#!/bin/sh
# keelson convert turns JSON into protobuf and YAML and back.
set -u
build=$(cd "$1" && pwd)
bad=0
text='{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"v"}}'
back=$(printf '%s' "$text" | "$build/keelson" convert --to protobuf | "$build/keelson" convert --from protobuf --to yaml | "$build/keelson" convert --from yaml | tr -d ' \n')
[ "$back" = "$text" ] || { echo "round trip gave $back"; bad=1; }
printf '{' | "$build/keelson" convert >/dev/null 2>&1 && { echo "bad JSON was taken"; bad=1; }
"$build/keelson" convert --to xml </dev/null >/dev/null 2>&1
[ $? = 2 ] || { echo "wrong use is not status 2"; bad=1; }
exit $bad
