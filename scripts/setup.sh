# Sourced by scripts/demo and scripts/test: finds Python, makes .venv, installs this project and what it needs.
# Set LOGAGG_VENV to put the environment elsewhere.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${LOGAGG_VENV:-$root/.venv}

say() { printf '%s\n' "$*" >&2; }

is_debian_root() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

# install_packages PACKAGE…: what is missing of these Debian packages; where it may not install, it prints the command.
install_packages() {
    local missing=() package
    command -v dpkg-query >/dev/null 2>&1 || { say "not a Debian system: these are left out: $*"; return 0; }
    for package; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if is_debian_root; then
        say "installing ${missing[*]} …"
        apt-get update -qq >&2 || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    else
        say "missing; as root: apt-get install ${missing[*]}"
    fi
}

find_python() {
    local python
    for python in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        [ -n "$python" ] && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        printf '%s\n' "$python"
        return 0
    done
    say "logagg needs Python 3.11 or newer (set PYTHON to name one)"
    return 1
}

# make_venv [EXTRA]: the environment, installed again only when setup.cfg has changed.
make_venv() {
    local extra=${1:-} python stamp target
    python=$(find_python) || return 1
    target=$root${extra:+[$extra]}
    stamp=$venv/.installed-${extra:-core}
    if [ ! -x "$venv/bin/python" ]; then
        "$python" -c 'import ensurepip' 2>/dev/null || install_packages python3-venv
        "$python" -m venv "$venv" || { say "no virtual environment; as root: apt-get install python3-venv"; return 1; }
    fi
    if [ ! -e "$stamp" ] || [ "$root/setup.cfg" -nt "$stamp" ]; then
        say "installing logagg${extra:+ with its $extra extra} into $venv …"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$target" >&2 || return 1
        touch "$stamp"
    fi
}
