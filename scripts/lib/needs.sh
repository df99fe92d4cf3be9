# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # variables from and for scripts/test
#
# What the parts of the test suite need, and which parts are skipped because a need cannot be met.
# Sourced by scripts/test and test-part, after parts.sh.

# field PART N: word N of the part's line in the table.
field() {
    echo "$parts" | awk -v name="$1" -v n="$2" '$1 == name { print $n }'
}

# needs PART: its needs, one per line.
needs() {
    field "$1" 2 | tr ',' '\n' | sed '/^-$/d'
}

# obtain NEED: makes or downloads it. On failure, the reason is in $out/unavailable/NEED, and the file
# NEED.error exists unless the network or the archive is the cause.
obtain() {
    need=$1
    case $need in
    miri)
        "$lib/host/chroot" --layer cargo sh -c 'command -v cargo-miri' >/dev/null ||
            echo 'the toolchain of the build chroot has no cargo miri' >"$out/unavailable/miri"
        return
        ;;
    debug | rt) set -- kernel "$need" ;;
    crates) set -- crates fetch ;;
    *) set -- chroot --layer "$need" --path ;;
    esac
    status=0
    # shellcheck disable=SC2145 # the first word completes the path
    UMSG_CAUSE=$out/unavailable/$need "$lib/host/$@" >/dev/null || status=$?
    [ "$status" -eq 0 ] || [ -s "$out/unavailable/$need" ] || {
        echo "scripts/lib/host/$* failed with status $status" >"$out/unavailable/$need"
        : >"$out/unavailable/$need.error"
    }
}

# unavailable NEED: succeeds, and prints the reason, if NEED cannot be met.
unavailable() {
    cat "$out/unavailable/$1" 2>/dev/null
}

# skip_without WHAT NEED...: succeeds if a NEED of WHAT cannot be met. Counts WHAT as a skip, or as a
# failure if the user named the part or if the cause is an error (NEED.error).
skip_without() {
    what=$1
    shift
    for need; do
        if reason=$(unavailable "$need"); then
            if [ -n "$named" ] || [ -e "$out/unavailable/$need.error" ]; then
                part=$what log=$out/unavailable/none
                : >"$log.stderr"
                fail_part "$reason"
            else
                skip "$what" "$reason"
            fi
            return 0
        fi
    done
    return 1
}

# all_needs PART...: the needs of the parts, required or not, each once, in the order of dependence.
all_needs() {
    wanted=",$(for name; do
        field "$name" 2
        field "$name" 3
    done | paste -sd ,),"
    for need in cargo crates lint llvm multilib programs miri debug rt; do
        case $wanted in
        *",$need,"*) printf '%s ' "$need" ;;
        esac
    done
}

# obtain_all NEED...: obtains them, except those that depend on an unavailable one.
obtain_all() {
    for need; do
        case $need in
        crates | lint | miri) below=cargo ;;
        debug) below=llvm ;;
        *) below= ;;
        esac
        if [ -n "$below" ] && unavailable $below >/dev/null; then
            cp "$out/unavailable/$below" "$out/unavailable/$need"
            [ ! -e "$out/unavailable/$below.error" ] || : >"$out/unavailable/$need.error"
        else
            obtain "$need"
        fi
    done
}

# to_make NEED...: those that do not exist yet, each with the minutes that it takes.
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
        rt) "$lib/host/kernel" --find rt >/dev/null 2>&1 || echo 'the kernel rt, 3' ;;
        esac
    done
}
