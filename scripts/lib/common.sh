# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# What the scripts share. Each sources it first:
#
#     . "$(dirname "$0")/lib/common.sh"
#
# It sets
#     top     the work tree, an absolute path without links
#     lib     this folder. Scripts are in host/, chroot/ or guest/ there, after where they run;
#             the files *.sh are sourced by scripts that run on the host
#     cache   the folder for all that is made once and kept
# and defines say, die, usage, bad_usage, need, fingerprint, lock, unlock, recipe, build_lock,
# stage_dir, commit_dir, remove_path, cargo, build_guest, and what lib/cache.sh and lib/progress.sh define. Nothing is
# created until a script asks for it.

set -eu
umask 022

# A caller's CDPATH would make cd print, its locale would translate the tool
# output that these scripts compare, and of its folders for temporary files the
# root (scripts/lib/host/chroot) sees /tmp alone.
unset CDPATH TMPDIR
export LC_ALL=C.UTF-8

prog=${0##*/}
top=$(cd -P "$(dirname "$0")" && until [ -e scripts/lib/common.sh ]; do cd ..; done && pwd -P)
lib=$top/scripts/lib
. "$lib/cache.sh"

find_cache
# A script that works without a cache sets cache_optional and calls need_cache where it needs one.
if [ "${1:-}" != --help ]; then
    # "=": scripts/lib/host/chroot runs commands of the work tree by env, which takes them for variables.
    case $top in
    *=*) bad='"="' ;;
    *) bad=$(bad_character "$top") || bad= ;;
    esac
    if [ -n "$bad" ]; then
        printf '%s: cannot build in a path that contains %s: move the work tree "%s"\n' \
            "$prog" "$bad" "$top" >&2
        exit "${die_status:-2}"
    fi
    [ -n "${cache_optional:-}" ] || need_cache
fi

# say TEXT...: one line for the person who waits.
say() {
    clear_line
    printf 'umsg: %s\n' "$*" >&2
}

# die TEXT...: says what was wrong and what to do, and ends the script. A
# script whose statuses have meanings sets die_status. UMSG_CAUSE names a file that gets the
# first line, for a caller that goes on without.
die() {
    stop_step
    [ -z "${UMSG_CAUSE:-}" ] || printf '%s\n' "$*" | sed 1q >"$UMSG_CAUSE"
    printf '%s: %s\n' "$prog" "$*" >&2
    exit "${die_status:-1}"
}

. "$lib/progress.sh"

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

# fingerprint: a hash of standard input, 16 hexadecimal digits.
fingerprint() {
    sha256sum | cut -c1-16
}

# recipe FILE...: the lines of FILE that determine what it makes, for fingerprint: all but empty
# lines, comments and the names of sourced files. "# CONFIG_X is not set" is a setting.
recipe() {
    sed -e '/^# CONFIG_[A-Z0-9_]* is not set$/b' -e '/^ *#/d' -e '/^\. /d' -e '/^$/d' "$@"
}

# lock NAME [shared]: waits until nobody else holds NAME and keeps it until
# this process and its children end. The kernel drops it with the last of
# them, however they end, so it cannot be left behind. One lock per process.
lock() {
    need_cache
    existing "$cache/lock/$1"
    { mkdir -p "$cache/lock" && (: >>"$cache/lock/$1"); } 2>/dev/null ||
        die "cannot write to $cache/lock/$1, because $existing is not writable ($(why_not "$existing")): $set_it"
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

# stage_dir DIR: an empty folder to make DIR in, as the variable $tmp. It goes when
# the script fails; what a killed run left is removed here. Hold a lock on DIR.
stage_dir() {
    tmp=$1.tmp
    remove_path "$tmp"
    trap 'remove_path "$tmp"' EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mkdir -p "$tmp"
}

# commit_dir DIR: puts the finished $tmp in the place of DIR. Seen from outside
# DIR is complete or absent.
commit_dir() {
    remove_path "$1.old"
    if [ -e "$1" ]; then
        mv "$1" "$1.old"
    fi
    mv "$tmp" "$1"
    remove_path "$1.old"
}

# remove_path PATH: removes it, if it is there. A folder of a system root can hold
# files of other (mapped) users, which scripts/lib/host/chroot --remove is for.
remove_path() {
    [ ! -e "$1" ] || rm -rf --one-file-system "$1"
}

# cargo COMMAND ARGS...: cargo in the build chroot, on the tests' crate.
cargo() {
    cargo_command=$1
    shift
    "$lib/host/chroot" --layer cargo env CARGO_HOME="$cache/cargo" CARGO_TARGET_DIR="$top/build/cargo" \
        cargo "$cargo_command" --quiet --locked --release \
        --manifest-path "$top/tests/Cargo.toml" "$@"
}

# build_guest NAME: builds the tests' program NAME, linked statically, so that it
# needs nothing of the guest. It is then in the folder $guest_programs.
build_guest() {
    RUSTFLAGS='-C target-feature=+crt-static' cargo build --features guest --bin "$1" \
        --target x86_64-unknown-linux-gnu
}
# shellcheck disable=SC2034 # for the caller
guest_programs=$top/build/cargo/x86_64-unknown-linux-gnu/release
