# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What the scripts beside this file share. Each sources it first:
#
#     . "$(dirname "$0")/common.sh"
#
# It sets
#     top     the work tree, an absolute path without links
#     cache   the folder for all that is made once and kept
# and defines say, die, usage, bad_usage, need, fingerprint, lock, unlock,
# build_lock, fresh, publish, discard, cargo and build_guest. Nothing is created until a script asks for it.

set -eu
umask 022

# A caller's CDPATH would make cd print, its locale would translate the tool
# output that these scripts compare, and of its folders for temporary files the
# root (scripts/root) sees /tmp alone.
unset CDPATH TMPDIR
export LC_ALL=C.UTF-8

prog=${0##*/}
top=$(cd -P "$(dirname "$0")/.." && pwd -P)
if [ -n "${XDG_CACHE_HOME:-}" ]; then
    cache=$XDG_CACHE_HOME/umsg
else
    cache=${HOME:?is not set, so there is no place for the cache}/.cache/umsg
fi
case $cache in
/*) ;;
*) printf '%s: XDG_CACHE_HOME must be an absolute path, not "%s"\n' "$prog" "$XDG_CACHE_HOME" >&2
   exit "${die_status:-2}" ;;
esac
# Neither kbuild nor the kernel's own Makefile can do with them.
case $top$cache in
*[[:space:]:]*)
    printf '%s: kbuild takes no path with white space or colons in it: move %s\n' "$prog" \
        "\"$top\" or the cache \"$cache\" (XDG_CACHE_HOME)" >&2
    exit "${die_status:-2}"
    ;;
esac

# say TEXT...: one line for the person who waits.
say() {
    printf 'umsg: %s\n' "$*" >&2
}

# die TEXT...: says what was wrong and what to do, and ends the script. A
# script whose statuses have meanings sets die_status.
die() {
    printf '%s: %s\n' "$prog" "$*" >&2
    exit "${die_status:-1}"
}

# usage: prints the comment block at the head of the script, which is its
# manual. It starts after the first empty comment line and ends with the block.
usage() {
    sed -n '/^#$/,/^[^#]/{/^#/s/^# \{0,1\}//p;}' "$0" | sed 1d
}

# bad_usage TEXT...: a mistake in the arguments.
bad_usage() {
    printf '%s: %s\n%s: see "%s --help"\n' "$prog" "$*" "$prog" "$0" >&2
    exit "${die_status:-2}"
}

# need TOOL PACKAGE: fails unless TOOL is in PATH.
need() {
    command -v "$1" >/dev/null 2>&1 ||
        die "$1 is missing: apt-get install $2"
}

# fingerprint: a name of 16 digits for what is on standard input.
fingerprint() {
    sha256sum | cut -c1-16
}

# lock NAME [shared]: waits until nobody else holds NAME and keeps it until
# this process and its children end. The kernel drops it with the last of
# them, however they end, so it cannot be left behind. One lock per process.
lock() {
    mkdir -p "$cache/lock" || die "cannot write to $cache: set XDG_CACHE_HOME to a folder of yours"
    exec 9>"$cache/lock/$1"
    how=${2:+--shared}
    how=${how:---exclusive}
    flock -w 3 "$how" 9 && return
    say "waiting for another run ($1)"
    flock "$how" 9
}

unlock() {
    exec 9>&-
}

# build_lock NAME: what to lock while build/NAME is read or written.
build_lock() {
    echo "build-$(printf %s "$top/build/$1" | fingerprint)"
}

# fresh DIR: an empty folder to make DIR in, as the variable $tmp. It goes when
# the script fails; what a killed run left is removed here. Hold a lock on DIR.
fresh() {
    tmp=$1.tmp
    discard "$tmp"
    trap 'discard "$tmp"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mkdir -p "$tmp"
}

# publish DIR: puts the finished $tmp in the place of DIR. Seen from outside
# DIR is complete or absent.
publish() {
    discard "$1.old"
    if [ -e "$1" ]; then
        mv "$1" "$1.old"
    fi
    mv "$tmp" "$1"
    discard "$1.old"
}

# discard PATH: removes it, if it is there. A folder of a system root can hold
# files of other (mapped) users, which scripts/root --remove is for.
discard() {
    [ ! -e "$1" ] || rm -rf "$1"
}

# cargo COMMAND ARGS...: the cargo of the root, on the tests' crate.
cargo() {
    cargo_command=$1
    shift
    "$top/scripts/root" env CARGO_HOME="$cache/cargo" CARGO_TARGET_DIR="$top/build/cargo" \
        cargo "$cargo_command" --quiet --locked --release \
        --manifest-path "$top/tests/Cargo.toml" "$@"
}

# build_guest NAME [BITS]: builds the tests' program NAME, of 64 bits or 32, linked
# statically, so that it needs nothing of the guest. It is then in the folder
# $guest_programs or $guest_programs32.
build_guest() {
    guest_target=x86_64-unknown-linux-gnu
    guest_flags='-C target-feature=+crt-static'
    if [ "${2:-64}" = 32 ]; then
        guest_target=i686-unknown-linux-gnu
        # Unlike gcc, clang links for 32 bits without a package that takes other compilers' place.
        guest_flags="$guest_flags -C linker=clang -C link-arg=--target=i686-linux-gnu"
    fi
    RUSTFLAGS=$guest_flags cargo build --features guest --bin "$1" --target "$guest_target"
}
# shellcheck disable=SC2034 # for the caller
guest_programs=$top/build/cargo/x86_64-unknown-linux-gnu/release
# shellcheck disable=SC2034
guest_programs32=$top/build/cargo/i686-unknown-linux-gnu/release
