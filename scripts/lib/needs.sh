# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # variables from and for scripts/test
#
# What the parts of the test suite need, and how a part goes without something that is not to
# be had. Sourced by scripts/test, after parts.sh.

# field PART N: word N of its line in the table.
field() {
    echo "$parts" | awk -v name="$1" -v n="$2" '$1 == name { print $n }'
}

# needs PART: what it needs, a line each.
needs() {
    field "$1" 2 | tr ',' '\n' | sed '/^-$/d'
}

# obtain NEED: has it made or fetched. What is not to be had leaves its reason in $out/lacking.
obtain() {
    need=$1
    case $need in
    miri)
        "$lib/host/chroot" --layer cargo sh -c 'command -v cargo-miri' >/dev/null ||
            echo 'the toolchain of the build chroot has no cargo miri' >"$out/lacking/miri"
        return
        ;;
    debug) set -- kernel debug ;;
    crates) set -- crates fetch ;;
    *) set -- chroot --layer "$need" --path ;;
    esac
    status=0
    # shellcheck disable=SC2145 # the first word completes the path
    UMSG_CAUSE=$out/lacking/$need "$lib/host/$@" >/dev/null || status=$?
    [ "$status" -eq 0 ] || [ -s "$out/lacking/$need" ] || {
        echo "scripts/lib/host/$* ended with status $status" >"$out/lacking/$need"
        : >"$out/lacking/$need.fault"
    }
}

# lacking NEED: succeeds, and says why, if it is not to be had.
lacking() {
    cat "$out/lacking/$1" 2>/dev/null
}

# lacks WHAT NEED...: succeeds if WHAT cannot run because one of these is not to be had. That is a
# skip, or a failure in a part that was asked for by name, or if that is not the outside world's
# fault (NEED.fault).
lacks() {
    lacking_what=$1
    shift
    for need; do
        if reason=$(lacking "$need"); then
            if [ -n "$named" ] || [ -e "$out/lacking/$need.fault" ]; then
                part=$lacking_what log=$out/lacking/none
                : >"$log.stderr"
                broken "$reason"
            else
                skip "$lacking_what" "$reason"
            fi
            return 0
        fi
    done
    return 1
}

# all_needs PART...: what they need, each once, what others need first.
all_needs() {
    wanted=" $(for name; do needs "$name"; done | paste -sd ' ') "
    # What a piece of a part needs.
    case " $* " in
    *' host '*) wanted="${wanted}llvm " ;;
    esac
    case " $* " in
    *' lint '*) wanted="${wanted}cargo crates lint " ;;
    esac
    for need in cargo crates lint llvm multilib programs miri debug; do
        case $wanted in
        *" $need "*) printf '%s ' "$need" ;;
        esac
    done
}

# obtain_all NEED...: nothing is made in vain.
obtain_all() {
    for need; do
        case $need in
        crates | lint | miri) below=cargo ;;
        debug) below=llvm ;;
        *) below= ;;
        esac
        if [ -n "$below" ] && lacking $below >/dev/null; then
            cp "$out/lacking/$below" "$out/lacking/$need"
            [ ! -e "$out/lacking/$below.fault" ] || : >"$out/lacking/$need.fault"
        else
            obtain "$need"
        fi
    done
}

# to_make NEED...: those that are not there yet, with the minutes that takes.
to_make() {
    for need; do
        case $need in
        cargo | lint | llvm | multilib | programs)
            "$lib/host/chroot" --layer "$need" --find >/dev/null || echo "the layer $need, 1"
            ;;
        debug)
            "$lib/host/kernel" --find debug >/dev/null 2>&1 ||
                echo "the debug kernel, $((22 / $(nproc) + 1))"
            ;;
        esac
    done
}
