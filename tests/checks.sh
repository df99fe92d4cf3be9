# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2034,SC2154 # variables for and from scripts/lint
#
# umsg's own checks of its source. Sourced by scripts/lint, in the module's folder.
#     parameters    umsg(4) and the example for modprobe.d have the parameters as modinfo shows them
#     version       module, dkms.conf and CHANGELOG.md have the same version

own_checks='parameters version'

# The manual page has the name, type, values and default of each parameter in a line of the form
# that sed prints.
lint_parameters() {
    "$top/scripts/build"
    "$lib/host/chroot" modinfo -p "$ko" >"$work/parameters"
    sed -n 's/^\([a-z_]*\):.*: \(.*\) (default: \(.*\)) (\([a-z]*\))$/.It Cm \1 Pq \4, \2, default \3/p' \
        "$work/parameters" | sort >"$work/built"
    grep -E '^\.It Cm [a-z_]+ Pq .*, default ' dist/man/umsg.4 | sort >"$work/documented"
    [ -s "$work/built" ]
    {
        diff "$work/built" "$work/documented" |
            sed -n 's/^</only modinfo has:/p; s/^>/only the manual page has:/p'
        sed -n 's/^\.It Cm \([a-z_]*\) Pq .*, default \(.*\)$/#options umsg \1=\2/p' "$work/built" |
            grep -v ' logs=' | while read -r line; do
                grep -qxiF "$line" dist/etc/modprobe.d/umsg.conf || echo "the example for modprobe.d has no line \"$line\""
            done
        grep -q '^#options umsg logs=' dist/etc/modprobe.d/umsg.conf || echo 'the example for modprobe.d has no logs'
    } >"$work/found"
    none <"$work/found"
}

lint_version() {
    built=$(sed -n 's/^static VERSION: .*b"version=\(.*\)\\0";$/\1/p' src/sys/this_module.rs)
    [ -n "$built" ] || die 'src/sys/this_module.rs has no version'
    {
        grep -qx "PACKAGE_VERSION=\"$built\"" dkms.conf || echo "the module has version $built, dkms.conf another"
        grep -qx "version = \"$built\"" Cargo.toml || echo "the module has version $built, Cargo.toml another"
        [ "$(sed -n 's/^## //p' CHANGELOG.md | head -n 1)" = "$built" ] ||
            echo "the module has version $built, CHANGELOG.md another"
    } >"$work/found"
    none <"$work/found"
}
