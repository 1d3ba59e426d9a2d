# certs.sh - keys and certificates of a script's own authorities: sourced.
# A function makes FILE.key and FILE.crt, of P-256, good for two days if nothing else is said. ca FILE: an authority, CN the file's name.
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key" 2>/dev/null; }
ca() { key "$1" && openssl req -x509 -new -key "$1.key" -subj "/CN=${1##*/}" -days 2 -out "$1.crt" 2>/dev/null; }
# cert CA FILE SUBJECT EXTENSION [DAYS]: one that FILE CA signs; the extension as openssl's files write it, subjectAltName=DNS:localhost.
cert() {
    key "$2" && openssl req -new -key "$2.key" -subj "$3" -out "$2.csr" 2>/dev/null && printf '%s\n' "$4" >"$2.ext" &&
        openssl x509 -req -in "$2.csr" -CA "$1.crt" -CAkey "$1.key" -set_serial "$(date +%N | sed 's/^0*//')1" -days "${5:-2}" -extfile "$2.ext" -out "$2.crt" 2>/dev/null
}
