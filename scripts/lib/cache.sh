# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # the variables of common.sh
#
# Where the cache is, and whether it can be used. Sourced by common.sh. find_cache sets
#     cache           the folder, empty if none can be derived
#     cache_problem   why this user cannot write there, empty if writing is possible

# bad_character PATH: prints the character of PATH that kbuild, make or the shells they run cannot
# handle, and fails if there is none.
bad_character() {
    case $1 in
    *[[:space:][:cntrl:]]*) echo 'white space' ;;
    *[]:\#\$%\'\"\*\\\;\&\(\)\?\|\<\>\`[]*)
        printf '"%s"\n' "$(printf %s "$1" | tr -dc ']:#$%\047"*\\;&()?|<>`[' | cut -c1)"
        ;;
    *) return 1 ;;
    esac
}

# existing PATH: sets $existing to PATH or, if PATH does not exist, to its nearest parent that does.
existing() {
    existing=$1
    until [ -e "$existing" ] || [ -L "$existing" ]; do
        case $existing in
        /*/*) existing=${existing%/*} ;;
        *) existing=/ ;;
        esac
    done
}

# why_not FOLDER: describes for an error message why this user cannot use FOLDER.
why_not() {
    case ,$(findmnt -n -o OPTIONS -T "$1" 2>/dev/null || :), in
    *,ro,*) echo 'read-only file system' ;;
    *) stat -c 'owner %U, mode %A' "$1" 2>/dev/null || echo 'not accessible' ;;
    esac
}

# find_cache: sets $cache, empty if no folder can be derived, and $cache_problem, empty if this user
# can write there.
find_cache() {
    cache=
    set_it='export XDG_CACHE_HOME=/FOLDER'
    if [ -n "${XDG_CACHE_HOME:-}" ]; then
        from=XDG_CACHE_HOME parent=${XDG_CACHE_HOME%/}
    elif [ -n "${HOME:-}" ]; then
        from=HOME parent=${HOME%/}/.cache
    else
        cache_problem="no folder for the cache, because HOME and XDG_CACHE_HOME are not set or empty: $set_it"
        return
    fi
    case $from,$parent in
    HOME,/.cache)
        cache_problem="no folder for the cache, because HOME is \"$HOME\": $set_it"
        return
        ;;
    *,/* | XDG_CACHE_HOME,) ;;
    *)
        cache_problem="no folder for the cache, because $from is \"${parent%/.cache}\", not an absolute path: $set_it"
        return
        ;;
    esac
    if bad=$(bad_character "$parent"); then
        cache_problem="cannot use a cache whose path contains $bad: $set_it, another than \"$parent\""
        return
    fi
    cache=$parent/umsg
    existing "$cache"
    if [ ! -d "$existing" ]; then
        cache_problem="cannot make the cache $cache, because $existing is not a folder: remove it, or $set_it"
    elif [ ! -r "$existing" ] || [ ! -w "$existing" ] || [ ! -x "$existing" ]; then
        because=
        [ "$existing" = "$cache" ] || because=", because $existing is not writable"
        cache_problem="cannot write to the cache $cache$because ($(why_not "$existing")): $set_it"
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
