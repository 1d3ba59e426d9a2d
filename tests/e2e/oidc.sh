#!/bin/sh
# Users by tokens of an OpenID Connect issuer: every algorithm, claims, keys that are rotated and taken back, tokens that are not what they say;
# anonymous requests for some paths only. usage: oidc.sh BUILD_DIR
set -u
build=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib/server.sh"
. "$here/lib/certs.sh"
needs kubectl openssl python3 curl
issuer_pid=
trap 'ended=$?; kill $issuer_pid 2>/dev/null; server_finish' EXIT
idp() { python3 "$here/oidc_issuer.py" "$@"; }
d=$dir/idp
mkdir "$d" "$dir/conf"
cp -r "$here/../../conf/." "$dir/conf"
mkdir -p "$dir/conf/conf.d"

# --- the issuer ---
ca "$d/ca"
cert "$d/ca" "$d/tls" /CN=localhost subjectAltName=DNS:localhost,IP:127.0.0.1
python3 "$here/oidc_issuer.py" serve "$d" &
issuer_pid=$!
for _ in $(seq 100); do
    [ -s "$d/port" ] && break
    sleep 0.1
done
iss=https://127.0.0.1:$(cat "$d/port")
printf '{"issuer":"%s","jwks_uri":"%s/keys"}' "$iss" "$iss" >"$d/issuer.json"
kids="rsa es256 es384 es512"
for kid in $kids; do
    idp key "$d" $kid "$(echo $kid | sed 's/rsa/RS256/; s/^es/ES/')"
done
idp key "$d" other RS256
# shellcheck disable=SC2086
idp jwks "$d" $kids

# --- the server ---
cat >"$dir/authentication.yaml" <<EOF
apiVersion: apiserver.config.k8s.io/v1
kind: AuthenticationConfiguration
anonymous:
  enabled: true
  conditions: [{path: /livez}, {path: /readyz}]
jwt:
- issuer:
    url: $iss
    audiences: [keelson, other]
    audienceMatchPolicy: MatchAny
    certificateAuthority: |
$(sed 's/^/      /' "$d/ca.crt")
  claimValidationRules:
  - {claim: hd, requiredValue: example.com}
  claimMappings:
    username: {claim: email, prefix: "oidc:"}
    groups: {claim: roles, prefix: "oidc:"}
    uid: {claim: sub}
- issuer:
    url: https://127.0.0.1:1
    audiences: [keelson]
  claimMappings:
    username: {claim: sub, prefix: ""}
- issuer:
    url: $iss/cel
    discoveryURL: $iss/cel-discovery
    audiences: [keelson]
    certificateAuthority: |
$(sed 's/^/      /' "$d/ca.crt")
  claimValidationRules:
  - {expression: "claims.exp - claims.iat <= 7200", message: too long}
  claimMappings:
    username: {expression: "'cel:' + claims.sub + (claims.?admin.orValue(false) ? ':admin' : '')"}
    groups: {expression: "claims.roles.split(',').map(r, 'cel:' + r)"}
    uid: {expression: "claims.jti"}
    extra:
    - {key: example.com/tenant, valueExpression: "claims.tenant"}
  userValidationRules:
  - {expression: "!user.username.startsWith('cel:system:')", message: reserved}
  - {expression: "user.groups.all(g, g != 'cel:root')", message: no root}
EOF
cat >"$dir/conf/conf.d/oidc.cfg" <<EOF
chains: { authn = [ "jwt" ]; };
instances = ( { plugin = "authn-jwt"; on = "server"; settings = { file = "$dir/authentication.yaml"; }; } );
EOF
server_flags="--config $dir/conf/keelson.cfg"
start_server

as() {
    bearer=$1
    shift
    timeout 30 kubectl --kubeconfig=/dev/null --server="$url" --certificate-authority="$dir/state/pki/ca.crt" --token="$bearer" "$@" 2>&1
}
now=$(date +%s)
rest='"hd":"example.com","sub":"42","jti":"id-1","roles":["dev","ops"]'
claims() { printf '{"iss":"%s","aud":"keelson","exp":%d,"email":"ann@example.com",%s}' "${2:-$iss}" $((now + 3600)) "${1:-$rest}"; }
make() { idp token "$d" "$@"; }

# --- every algorithm ---
out=$(as "$(make rsa RS256 "$(claims)")" auth whoami)
holds "a token's user" "$out" "oidc:ann@example.com"
holds "its uid" "$out" "42"
holds "its groups" "$out" "[oidc:dev oidc:ops system:authenticated]"
holds "its credential" "$out" "JTI=id-1"
for alg in RS384 RS512 PS256 PS384 PS512; do
    holds $alg "$(as "$(make rsa $alg "$(claims)")" auth whoami)" "oidc:ann@example.com"
done
for alg in 256 384 512; do
    holds ES$alg "$(as "$(make es$alg ES$alg "$(claims)")" auth whoami)" "oidc:ann@example.com"
done
holds "a token that names no key" "$(as "$(make es256 ES256 "$(claims)" '{"alg":"ES256"}')" auth whoami)" "oidc:ann@example.com"
[ "$(grep -c keys "$d/count")" = 1 ] || fail "keys are fetched once" "$(cat "$d/count")"
want created create clusterrolebinding ops --clusterrole=view --group=oidc:ops
holds "rights by group" "$(as "$(make rsa RS256 "$(claims)")" get pods)" "No resources found"
holds "no rights without" "$(as "$(make rsa RS256 "$(claims '"hd":"example.com","sub":"42"')")" get pods)" 'User "oidc:ann@example.com" cannot list'

# --- expressions ---
printf '{"issuer":"%s/cel","jwks_uri":"%s/keys"}' "$iss" "$iss" >"$d/cel.json"
cel() { make es256 ES256 "$(printf '{"iss":"%s/cel","aud":"keelson","iat":%d,"exp":%d,"jti":"u-9","tenant":["t1","t2"],%s}' "$iss" "$now" $((now + ${2:-3600})) "$1")"; }
out=$(as "$(cel '"sub":"bo","roles":"a,b","admin":true')" auth whoami)
holds "a name by expression" "$out" "cel:bo:admin"
holds "groups by expression" "$out" "[cel:a cel:b system:authenticated]"
holds "a uid by expression" "$out" "u-9"
holds "extra by expression" "$out" "[t1 t2]"
for bad_claims in '"sub":"system:x","roles":"a"' '"sub":"bo","roles":"root"' '"sub":"bo"' '"sub":7,"roles":"a"'; do
    holds "refused by expression: $bad_claims" "$(as "$(cel "$bad_claims")" get pods)" "Unauthorized"
done
holds "refused by a rule on claims" "$(as "$(cel '"sub":"bo","roles":"a"' 9000)" get pods)" "Unauthorized"

# --- refused ---
refused() { holds "$1" "$(as "$2" get pods)" "Unauthorized"; }
refused "another issuer" "$(make rsa RS256 "$(claims "$rest" https://evil.example)")"
refused "an issuer that does not answer" "$(make rsa RS256 "$(claims "$rest" https://127.0.0.1:1)")"
refused "another audience" "$(make rsa RS256 "{\"iss\":\"$iss\",\"aud\":\"x\",\"exp\":$((now + 3600)),\"email\":\"a\",$rest}")"
refused "an expired token" "$(make rsa RS256 "{\"iss\":\"$iss\",\"aud\":\"keelson\",\"exp\":$((now - 10)),\"email\":\"a\",$rest}")"
refused "a token without an end" "$(make rsa RS256 "{\"iss\":\"$iss\",\"aud\":\"keelson\",\"email\":\"a\",$rest}")"
refused "a token of the future" "$(make rsa RS256 "{\"iss\":\"$iss\",\"aud\":\"keelson\",\"exp\":$((now + 3600)),\"nbf\":$((now + 1800)),\"email\":\"a\",$rest}")"
refused "a required claim of another value" "$(make rsa RS256 "$(claims '"hd":"evil.example","sub":"42"')")"
refused "a key of nobody" "$(make other RS256 "$(claims)")"
refused "a key of nobody under a known name" "$(make other RS256 "$(claims)" '{"alg":"RS256","kid":"rsa"}')"
refused "no signature" "$(make rsa RS256 "$(claims)" '{"alg":"none"}' | sed 's/[^.]*$//')"
refused "a shared secret" "$(make rsa RS256 "$(claims)" '{"alg":"HS256","kid":"rsa"}')"
refused "one algorithm's key for another" "$(make rsa RS256 "$(claims)" '{"alg":"ES256","kid":"rsa"}')"
good=$(make rsa RS256 "$(claims)")
refused "a changed payload" "${good%%.*}.$(claims '"hd":"example.com","sub":"1","roles":["root"]' | base64 -w0 | tr '+/' '-_' | tr -d =).${good##*.}"

# --- rotation: a new key is known at its first token, one taken back is forgotten with the fetch that follows ---
idp key "$d" new ES256
idp jwks "$d" new
sleep 2.5
holds "a new key" "$(as "$(make new ES256 "$(claims)")" auth whoami)" "oidc:ann@example.com"
refused "a key that was taken back" "$good"

# --- tokens of service accounts go on; reviews know both ---
want "serviceaccount/x created" create serviceaccount x
holds "a service account's token" "$(as "$(k create token x)" auth whoami)" "system:serviceaccount:default:x"
holds "a review" "$(printf '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"%s"}}' "$(make new ES256 "$(claims)")" |
    k create -f - -o 'jsonpath={.status.authenticated} {.status.user.username}')" "true oidc:ann@example.com"

# --- nobody ---
nobody() { curl -s --cacert "$dir/state/pki/ca.crt" "$url$1"; }
holds "anonymous where it is allowed" "$(nobody /livez)" "ok"
holds "and nowhere else" "$(nobody /version)" '"code":401'
holds "nor in the API" "$(nobody /api/v1/pods)" '"code":401'
holds "certificates do not mind" "$(c "$url/version")" gitVersion

# --- a file that changes ---
cp "$dir/authentication.yaml" "$dir/before.yaml"
sed -i 's|{path: /readyz}|{path: /readyz}, {path: /version}|' "$dir/authentication.yaml"
reread authentication jwt success
holds "anonymous where it is allowed now" "$(nobody /version)" gitVersion
holds "tokens as before" "$(as "$(make new ES256 "$(claims)")" auth whoami)" "oidc:ann@example.com"
sed -i 's|kind: Auth|kind: Oth|' "$dir/authentication.yaml"
reread authentication jwt failure
holds "what is wrong leaves what was before" "$(nobody /version)" gitVersion
holds "and says so" "$(cat "$dir/log")" "jwt: what was configured before stays: "
cp "$dir/before.yaml" "$dir/authentication.yaml"
reread authentication jwt success
holds "back again" "$(nobody /version)" '"code":401'
kill "$pid"
wait "$pid"

# --- a mistake in the file is told with its place ---
sed -i 's|url: https://127.0.0.1:1$|url: http://127.0.0.1:1|' "$dir/authentication.yaml"
# shellcheck disable=SC2086
out=$(timeout 20 "$build/keelson" server --state-dir "$dir/state" --port 0 $server_flags 2>&1)
holds "a mistake in the file" "$out" 'jwt[1].issuer.url: Invalid value: "http://127.0.0.1:1": URL scheme must be https'
sed -i 's|url: http://127.0.0.1:1$|url: https://127.0.0.1:1|; s|expression: "claims.jti"|expression: "claims.jti +"|' "$dir/authentication.yaml"
# shellcheck disable=SC2086
out=$(timeout 20 "$build/keelson" server --state-dir "$dir/state" --port 0 $server_flags 2>&1)
holds "an expression that does not compile" "$out" 'jwt[2].claimMappings.uid.expression: Invalid value: "claims.jti +": compilation failed'
exit $bad
