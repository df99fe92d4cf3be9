# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # variables for and from scripts/lint
#
# umsg's own checks of its source. Sourced by scripts/lint, in the module's folder.
#     parameters    umsg(4) documents the parameters as modinfo shows them

own_checks='parameters'

# The manual page has the name, type, values and default of each parameter in a line of the form
# that sed prints.
lint_parameters() {
    "$top/scripts/build"
    "$lib/host/chroot" modinfo -p "$ko" >"$work/parameters"
    sed -n 's/^\([a-z_]*\):.*: \(.*\) (default: \(.*\)) (\([a-z]*\))$/.It Cm \1 Pq \4, \2, default \3/p' \
        "$work/parameters" | sort >"$work/built"
    grep -E '^\.It Cm [a-z_]+ Pq .*, default ' dist/man/umsg.4 | sort >"$work/documented"
    [ -s "$work/built" ]
    diff "$work/built" "$work/documented" |
        sed -n 's/^</only modinfo has:/p; s/^>/only the manual page has:/p' >"$work/found"
    none <"$work/found"
}
