#!/bin/sh
# Install what compiles a wheel, and the mail programs that tests/interop drives. They are run by the tests on ports of
# their own: no service is started here. Without apt, or without the right to use it, the tests that miss a program skip
# and say so.
set -eu

packages="gcc libc6-dev python3-dev postfix dovecot-imapd dovecot-pop3d dovecot-lmtpd swaks libnet-ssleay-perl msmtp isync fetchmail mutt offlineimap3 aerc imapfilter curl openssl unbound clamav-daemon rspamd opendkim"

if ! command -v apt-get >/dev/null 2>&1; then
    echo "test-deps: no apt-get here; tests that need $packages will be skipped"
    exit 0
fi

# What conflicts with one of them is unpacked beside the tests, and not installed: tests run it from there.
folder=$(cd "$(dirname "$0")/.." && pwd)/build/test-programs
unpack() {
    mkdir -p "$folder"
    for package in exim4-daemon-light opensmtpd; do
        [ -e "$folder/.$package" ] && continue
        scratch=$(mktemp -d)
        if (cd "$scratch" && apt-get download -q "$package" && dpkg -x "$package"_*.deb "$folder"); then
            touch "$folder/.$package"
        else
            echo "test-deps: $package cannot be unpacked; tests that need it will be skipped"
        fi
        rm -rf "$scratch"
    done
}

missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "install ok installed" || missing="$missing $package"
done
if [ -z "$missing" ]; then
    unpack
    echo "test-deps: all installed"
    exit 0
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "test-deps: not root; tests that need$missing will be skipped"
        exit 0
    fi
    as_root="sudo -n"
fi

# policy-rc.d 101 keeps packages from starting their services; it is put there only if nobody else has one.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
    trap '$as_root rm -f "$policy"' EXIT
fi
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
unpack
