# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # the variables of common.sh
#
# The cache: chroots, kernels, headers, crates. Sourced by common.sh. All modules share it. find_cache
# sets
#     cache            the folder, empty if none can be derived
#     cache_problem    why this user cannot write there, empty if writing is possible
#     cache_hint       how to use another folder

# bad_character PATH: prints the first character of PATH that kbuild, make or the shells they run
# cannot handle. Fails if there is none.
bad_character() {
    case $1 in
    *[[:space:][:cntrl:]]*) echo 'white space' ;;
    *[]:\#\$%\'\"\*\\\;\&\(\)\?\|\<\>\`[]*)
        printf '"%s"\n' "$(printf %s "$1" | tr -dc ']:#$%\047"*\\;&()?|<>`[' | cut -c1)"
        ;;
    *) return 1 ;;
    esac
}

# nearest_existing PATH: sets $existing to PATH or, if PATH does not exist, to its nearest parent that
# exists.
nearest_existing() {
    existing=$1
    until [ -e "$existing" ] || [ -L "$existing" ]; do
        case $existing in
        /*/*) existing=${existing%/*} ;;
        *) existing=/ ;;
        esac
    done
}

# why_unusable FOLDER: describes for an error message why this user cannot use FOLDER.
why_unusable() {
    case ,$(findmnt -n -o OPTIONS -T "$1" 2>/dev/null || :), in
    *,ro,*) echo 'read-only file system' ;;
    *) stat -c 'owner %U, mode %A' "$1" 2>/dev/null || echo 'not accessible' ;;
    esac
}

find_cache() {
    cache=
    cache_hint='export XDG_CACHE_HOME=/FOLDER'
    if [ -n "${XDG_CACHE_HOME:-}" ]; then
        variable=XDG_CACHE_HOME parent=${XDG_CACHE_HOME%/}
    elif [ -n "${HOME:-}" ]; then
        variable=HOME parent=${HOME%/}/.cache
    else
        cache_problem="no folder for the cache, because HOME and XDG_CACHE_HOME are not set or empty: $cache_hint"
        return
    fi
    case $variable,$parent in
    HOME,/.cache)
        cache_problem="no folder for the cache, because HOME is \"$HOME\": $cache_hint"
        return
        ;;
    *,/* | XDG_CACHE_HOME,) ;;
    *)
        cache_problem="no folder for the cache, because $variable is \"${parent%/.cache}\", not an absolute path: $cache_hint"
        return
        ;;
    esac
    if bad=$(bad_character "$parent"); then
        cache_problem="cannot use a cache whose path contains $bad: $cache_hint, another than \"$parent\""
        return
    fi
    cache=$parent/umsg
    nearest_existing "$cache"
    if [ ! -d "$existing" ]; then
        cache_problem="cannot make the cache $cache, because $existing is not a folder: remove it, or $cache_hint"
    elif [ ! -r "$existing" ] || [ ! -w "$existing" ] || [ ! -x "$existing" ]; then
        because=
        [ "$existing" = "$cache" ] || because=", because $existing is not writable"
        cache_problem="cannot write to the cache $cache$because ($(why_unusable "$existing")): $cache_hint"
    else
        cache_problem=
    fi
}

# need_cache: ends the script with one line unless this user can write to the cache.
need_cache() {
    [ -n "$cache_problem" ] || return 0
    printf '%s: %s\n' "$prog" "$cache_problem" >&2
    exit "${die_status:-2}"
}
