# hooks.sh - the webhook server (webhooks_server.py) for one script: sourced behind server.sh. start_hooks sets port, ca; each question is a line in
# $dir/asked; what a conversion does wrong is said by the word in $dir/mode.
hooks=
trap 'ended=$?; kill $hooks 2>/dev/null; wait $hooks 2>/dev/null; server_finish' EXIT
certificates() (
    cd "$dir" || exit 1
    openssl ecparam -genkey -name prime256v1 -noout -out hook-ca.key &&
        openssl req -x509 -new -key hook-ca.key -days 2 -subj /CN=hook-ca -out hook-ca.crt &&
        openssl ecparam -genkey -name prime256v1 -noout -out hook.key &&
        openssl req -new -key hook.key -subj /CN=hook -out hook.csr &&
        printf 'subjectAltName=DNS:hook.demo.svc,IP:127.0.0.1\n' >san &&
        openssl x509 -req -in hook.csr -CA hook-ca.crt -CAkey hook-ca.key -CAcreateserial -days 2 -extfile san -out hook.crt
) >/dev/null 2>&1
start_hooks() {
    certificates || { echo "no certificates"; exit 1; }
    ca=$(base64 -w0 "$dir/hook-ca.crt")
    : >"$dir/mode"
    : >"$dir/asked"
    python3 "$here/webhooks_server.py" "$dir/hook.crt" "$dir/hook.key" "$dir/asked" "$dir/mode" >"$dir/port" 2>"$dir/hook.log" &
    hooks=$!
    for _ in $(seq 200); do [ -s "$dir/port" ] && break; sleep 0.1; done
    port=$(cat "$dir/port")
    [ -n "$port" ] || { echo "the webhook server did not start"; cat "$dir/hook.log"; exit 1; }
}
