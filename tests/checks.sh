# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # variables for and from scripts/lint
#
# umsg's own checks of its source. Sourced by scripts/lint, in the module's folder.
#     parameters    README.md documents the parameters as modinfo shows them

own_checks='parameters'

# The table in README.md has the name, type, values and default of each parameter.
lint_parameters() {
    "$top/scripts/build"
    "$lib/host/chroot" modinfo -p "$ko" >"$work/parameters"
    # shellcheck disable=SC2016 # Markdown
    sed -n 's/^\([a-z_]*\):.*: \(.*\) (default: \(.*\)) (\([a-z]*\))$/| `\1` | \4 | \2 | \3 |/p' \
        "$work/parameters" | sort >"$work/built"
    # shellcheck disable=SC2016 # Markdown
    sed -n '/^| name | type |/,/^$/s/^\(| `[^`]*` |[^|]*|[^|]*|[^|]*|\).*/\1/p' README.md |
        sort >"$work/documented"
    [ -s "$work/built" ]
    diff "$work/built" "$work/documented" | sed -n 's/^</only modinfo has:/p; s/^>/only README.md has:/p' >"$work/found"
    none <"$work/found"
}
