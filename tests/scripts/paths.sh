# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of paths of the work tree and of the cache that cannot be used. Sourced by run.

# Scripts reject a path of the cache or of the work tree that kbuild cannot handle, with one line.
path_characters() {
    own_folder path_characters
    for c in ' ' '	' : '#' '$' % "'" '"' '*' \\ ';' '&' '(' '|' '<' '`' '['; do
        expect 126 env "XDG_CACHE_HOME=$work/a${c}b" scripts/vm -- true
        one_line 'export XDG_CACHE_HOME='
        mkdir "$work/a${c}b"
        cp -r Makefile scripts "$work/a${c}b"
        expect 126 "$work/a${c}b/scripts/vm" -- true
        one_line 'move the work tree'
        expect 2 make -s -C "$work/a${c}b" KDIR="$work"
        head -n 1 "$work/stderr" | grep -q 'move the work tree\|has no kernel headers'
    done
    for c in '=' ',' '~' + @ é; do
        expect 0 env "XDG_CACHE_HOME=$work/a${c}b" scripts/lib/host/chroot --remove
        [ ! -s "$work/stderr" ]
    done
}

# Without a usable cache, each script that needs the cache prints one line. make help and make clean
# print no error.
cache_refused() {
    own_folder cache_refused
    chmod 711 "$work" "$work/.."
    mkdir "$work/tree" "$work/locked" "$work/parent" "$work/own" "$work/mount"
    cp -r Makefile Kbuild scripts "$work/tree"
    : >"$work/file"
    mkdir "$work/locked/umsg" "$work/own/umsg" "$work/own/umsg/lock" "$work/parent/umsg"
    : >"$work/parent/umsg/chroot"
    chmod 0 "$work/locked/umsg"
    [ "$(id -u)" != 0 ] || chown -R 65534 "$work/own"
    chmod 500 "$work/own/umsg/lock"
    cd "$work/tree"
    # Use another user than root, which ignores permissions.
    user=
    [ "$(id -u)" != 0 ] || user='setpriv --reuid 65534 --regid 65534 --clear-groups --'
    for set in -uHOME HOME= HOME=/ HOME=relative XDG_CACHE_HOME=relative "XDG_CACHE_HOME=$work/file" \
        "XDG_CACHE_HOME=$work/locked" HOME=/proc/nonesuch; do
        # shellcheck disable=SC2086 # words
        set -- $user env -u HOME -u XDG_CACHE_HOME "$set"
        for script in scripts/lib/host/chroot scripts/build scripts/lint; do
            expect 2 "$@" "$script" nonesuch
            one_line '^'"${script##*/}"': .*export XDG_CACHE_HOME='
        done
        expect 126 "$@" scripts/vm -- true
        one_line '^vm: .*export XDG_CACHE_HOME='
        expect 1 "$@" scripts/kdir --find 1.2.3-nonesuch
        [ ! -s "$work/stderr" ]
        for target in help clean; do
            expect 0 "$@" make $target RELEASE=1.2.3-nonesuch
            [ ! -s "$work/stderr" ]
        done
        expect 0 "$@" scripts/vm --help
        expect 2 "$@" make RELEASE=1.2.3-nonesuch
        grep -q 'has no kernel headers' "$work/stderr"
    done
    expect 1 "$@" scripts/doctor 1.2.3-nonesuch
    [ ! -s "$work/stderr" ]
    # The cache belongs to the user, but a folder in the cache is not writable.
    # shellcheck disable=SC2086 # words
    expect 1 $user env "XDG_CACHE_HOME=$work/own" scripts/lib/host/chroot --remove
    one_line "cannot write to $work/own/umsg/lock/remove"
    set --
    [ "$(id -u)" = 0 ] || set -- --map-root-user
    # shellcheck disable=SC2016
    expect 2 unshare --mount "$@" sh -c 'mount -t tmpfs -o ro tmpfs "$1" &&
        XDG_CACHE_HOME=$1 exec scripts/build' sh "$work/mount"
    one_line 'read-only file system'
}
