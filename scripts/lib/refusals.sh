# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # the variables of the caller
#
# Why the running kernel rejects a module file, for doctor, which sources it. The messages are those
# of kernel/module/, kernel/bpf/btf.c and security/lockdown/ in the kernel's source.

# suspended: for how many seconds the system was suspended since its start; nothing if that is unknown.
suspended() {
    monotonic=$(sed -n 's/^now at \([0-9]*\)[0-9]\{9\} nsecs$/\1/p' /proc/timer_list 2>/dev/null) || monotonic=
    if [ -n "$monotonic" ]; then
        read -r uptime _ </proc/uptime
        echo $((${uptime%.*} - monotonic))
    elif [ "$(content /sys/power/suspend_stats/success)" = 0 ] || [ ! -e /sys/power/suspend_stats ]; then
        echo 0
    fi
}

# messages_since FILE: the messages of the running kernel, without their times, since FILE was changed: the
# older ones are about an earlier file. Their clock stops while the system is suspended. If it is unknown
# for how long it was, these are all messages.
messages_since() {
    suspended=$(suspended)
    if [ -n "$suspended" ]; then
        booted=$(sed -n 's/^btime //p' /proc/stat)
        # Each of these is rounded to seconds.
        since=$(($(stat -c %Y "$1") - booted - suspended - 2))
    else
        since=0
    fi
    dmesg 2>/dev/null | awk -v since="$since" '
        match($0, /^\[ *[0-9.]+\] /) {
            if (substr($0, 2) + 0 < since) next
            $0 = substr($0, RLENGTH + 1)
        }
        { print }'
}

# refusals NAME: what the messages on standard input say of attempts to load the module NAME, each cause
# once, the last one last: lines "PROBLEM<tab>ADVICE". $signed is set if the module is signed.
refusals() {
    awk -v name="$1" -v running="$running" -v signed="$signed" '
        # order is the number of the last message about it; by default, of this one.
        function found(cause, advice, order) {
            last[cause] = order ? order : ++n
            text[cause] = advice
        }
        function rest(prefix) { return substr($0, length(prefix) + 1) }
        index($0, name ": version magic ") == 1 {
            split($0, part, "\047")
            found("the kernel rejected it, because it was built for \"" part[2] "\" and the kernel is \"" part[4] "\"",
                "make RELEASE=" running)
        }
        # The first symbol of each kind, and the number of further ones.
        index($0, name ": Unknown symbol ") == 1 {
            split(rest(name ": Unknown symbol "), part, " ")
            kind = index(part[1], "_R") == 1 ? "Rust symbol" : "symbol"
            if (!(kind in symbols)) symbol[kind] = part[1]
            if (!((kind, part[1]) in seen)) symbols[kind]++
            seen[kind, part[1]] = 1
            unknown[kind] = ++n
        }
        index($0, name ": disagrees about version of symbol ") == 1 {
            found("the kernel has another version of the symbol " rest(name ": disagrees about version of symbol "),
                "build it against the headers of kernel " running)
        }
        !signed && /^Loading of (unsigned module|module with .*) is rejected$/ {
            found("the kernel loads only signed modules: \"" $0 "\"",
                "sign it with a key that the kernel trusts, or boot without module.sig_enforce")
        }
        !signed && /^Lockdown: .*: unsigned module loading is restricted/ {
            found("the kernel is locked down and loads only signed modules",
                "sign it with a key that the kernel trusts, or disable lockdown and Secure Boot")
        }
        index($0, "failed to validate module [" name "] BTF: ") == 1 {
            found("its BTF does not match the kernel, as if it was built with the vmlinux of another build",
                "build it against the headers of kernel " running)
        }
        index($0, "module " name ": .gnu.linkonce.this_module section size must match") == 1 {
            found("it was built with another configuration or other compiler options than the kernel",
                "build it against the headers of kernel " running)
        }
        END {
            for (kind in unknown) {
                lacking = "the kernel has no " kind " " symbol[kind]
                if (symbols[kind] > 1) lacking = lacking " (and " symbols[kind] - 1 " more)"
                if (kind == "symbol")
                    found(lacking, "build it against the headers of kernel " running, unknown[kind])
                else
                    found(lacking ": it has no Rust support, or its kernel crate is from another source or compiler",
                        "make kdir and make for this kernel; if it has no CONFIG_RUST, boot another", unknown[kind])
            }
            for (cause in last) print last[cause] "\t" cause "\t" text[cause]
        }' |
        sort -n | cut -f2-
}

# check_file: whether the running kernel can load the module file $ko, and why it did not. Called after
# check_signing, which sets $signed.
check_file() {
    # check_loading has reported a missing kmod.
    command -v modinfo >/dev/null || return 0
    file_name=$(modinfo -F name "$ko" 2>/dev/null) || file_name=
    magic=$(modinfo -F vermagic "$ko" 2>/dev/null) || magic=
    if [ -z "$file_name" ] || [ -z "$magic" ]; then
        fail loads file "$ko is not a kernel module, or is damaged" 'build it again'
        return
    fi
    if [ "${magic%% *}" = "$running" ]; then
        row ok file "$file_name, built for the running kernel, $running"
    else
        fail loads file "$file_name was built for kernel ${magic%% *}, and the running kernel is $running" \
            "make RELEASE=$running, or boot kernel ${magic%% *}"
    fi
    if [ -d "/sys/module/$(echo "$file_name" | tr - _)" ]; then
        row ok loaded "the kernel has loaded $file_name"
        return
    fi
    tab=$(printf '\t')
    list=$(messages_since "$ko" | refusals "$(echo "$file_name" | tr - _)")
    if [ -n "$list" ]; then
        while IFS=$tab read -r problem advice; do
            fail loads 'kernel log' "$problem" "$advice"
        done <<END_OF_LIST
$list
END_OF_LIST
    elif ! dmesg >/dev/null 2>&1; then
        row note 'kernel log' 'cannot be read: run this as root'
    else
        row ok 'kernel log' "nothing about this $file_name"
    fi
}
