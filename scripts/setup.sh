# Sourced by scripts/demo and scripts/test: finds Python, makes .venv, installs this project and what it needs.
# Set LOGAGG_VENV to put the environment elsewhere, PYTHON to name the interpreter.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${LOGAGG_VENV:-$root/.venv}
case $venv in /*) ;; *) venv=$PWD/$venv ;; esac

say() { printf '%s\n' "$*" >&2; }

is_debian() { command -v apt-get >/dev/null 2>&1 && command -v dpkg-query >/dev/null 2>&1; }

# install_packages PACKAGE…: what is missing of these Debian packages. Where that cannot be done it prints the command
# and fails.
install_packages() {
    local missing=() package
    is_debian || { say "not a Debian system; what these Debian packages hold is needed: $*"; return 1; }
    for package; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ]; then
        say "missing; run: sudo apt-get install ${missing[*]}"
        return 1
    fi
    say "installing ${missing[*]} …"
    apt-get update -qq >&2 </dev/null || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null </dev/null &&
        return 0
    say "could not be installed; run: apt-get update && apt-get install ${missing[*]}"
    return 1
}

is_python() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    local python
    if [ -n "${PYTHON:-}" ]; then
        is_python "$PYTHON" && printf '%s\n' "$PYTHON" && return 0
        say "PYTHON=$PYTHON is no Python 3.11 or newer; name another, or unset it"
        return 1
    fi
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        is_python "$python" && printf '%s\n' "$python" && return 0
    done
    if is_debian && ! command -v python3 >/dev/null 2>&1 && install_packages python3 python3-venv && is_python python3
    then
        printf 'python3\n'
        return 0
    fi
    say "logagg needs Python 3.11 or newer (Debian 12, Ubuntu 24.04 or newer have it; set PYTHON to name one)"
    return 1
}

can_make_venv() { "$1" -c 'import venv, ensurepip' >/dev/null 2>&1; }

# venv_package PYTHON: the Debian package that lets this Python make environments: python3-venv, or python3.12-venv.
venv_package() {
    local own
    own=$("$1" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    [ "$(/usr/bin/python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])' 2>/dev/null)" != "$own" ] ||
        own=python3
    printf '%s-venv\n' "$own"
}

# make_environment: $venv with a Python that works and pip. One that an earlier run or another program (uv) left
# without pip is completed; a folder that holds anything else is left alone.
make_environment() {
    local python package
    if ! is_python "$venv/bin/python"; then
        if [ -e "$venv" ] && [ ! -e "$venv/pyvenv.cfg" ] && [ -n "$(ls -A "$venv" 2>&1)" ]; then
            say "$venv holds something else than a virtual environment; name another folder with LOGAGG_VENV"
            return 1
        fi
        python=$(find_python) || return 1
        package=$(venv_package "$python")
        can_make_venv "$python" || { install_packages "$package" && can_make_venv "$python"; } || {
            say "$python makes no virtual environments; on Debian and Ubuntu run: sudo apt-get install $package"
            return 1
        }
        # --clear: an older Python's parts, or those of one that is gone, would stay
        "$python" -m venv --clear "$venv" || { say "$venv: no virtual environment could be made there"; return 1; }
    fi
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null || {
        say "$venv has no pip; remove that folder and run this again"
        return 1
    }
}

# make_venv [EXTRA]: the environment, installed again only when setup.cfg has changed or the checkout is another.
make_venv() {
    local extra=${1:-} stamp state
    if command -v flock >/dev/null 2>&1; then   # two at once: the second waits for the first
        exec 8<"$root" && flock 8
    fi
    make_environment || return 1
    stamp=$venv/.installed-${extra:-core}
    state="$root $(cksum <"$root/setup.cfg")"
    if [ "$(cat "$stamp" 2>/dev/null)" = "$state" ]; then
        exec 8<&-
        return 0
    fi
    if [ ! -w "$root" ]; then
        say "$root cannot be written by $(id -un), which an editable install needs; use a copy of your own"
        return 1
    fi
    say "installing logagg${extra:+ with its $extra extra} into $venv …"
    rm -f "$venv"/.installed-*      # of another checkout, perhaps: only one can be installed
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable "$root${extra:+[$extra]}" >&2 \
        </dev/null || return 1
    printf '%s\n' "$state" >"$stamp"
    exec 8<&-
}
