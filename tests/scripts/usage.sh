# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154,SC2164 # the variables and the -e of run
#
# Tests of the usage texts and of the progress line. Sourced by run.

# The folder scripts contains only the commands and the folder lib. Each command prints its usage
# text for --help, and refers to --help after an unknown argument.
commands() {
    [ "$(cd scripts && echo *)" = \
        'bench build deb demo doctor fuzz in-tree install kdir kunit lib lint matrix program rust-analyzer sign soak test vm' ]
    for script in scripts/*; do
        name=${script##*/}
        [ "$name" != lib ] || continue
        expect 0 "$script" --help
        head -n 1 "$work/stdout" | grep -qE "^usage: $name( |\$)"
        [ "$(wc -l <"$work/stdout")" -ge 3 ]
        not grep -q '^#\|^\. \|# shellcheck' "$work/stdout"
        [ ! -s "$work/stderr" ]
        case $name in vm) status=126 ;; *) status=2 ;; esac
        expect $status "$script" --no-such-option
        one_line "^$name: .* (see \"$script --help\")\$"
        [ ! -s "$work/stdout" ]
    done
    expect 0 scripts/test --help
    sed -n "/^parts='/,/'\$/s/^\(parts='\)\{0,1\}\([a-z0-9-]*\) .*/\2/p" tests/parts.sh >"$work/parts"
    [ "$(wc -l <"$work/parts")" -ge 15 ]
    while read -r part; do
        grep -qE "^    $part +[^ ]" "$work/stdout"
    done <"$work/parts"
    expect 0 scripts/lint --list
    [ "$(wc -l <"$work/stdout")" -eq 17 ]
}

# Each script in scripts/lib prints its usage text for --help. A script that needs arguments, or
# that runs in a guest, prints an error without arguments. Usage texts of scripts in the folder
# chroot say that the scripts run in the build chroot. Files that are sourced are not executable and
# begin with a comment.
lib_scripts() {
    for script in scripts/lib/host/* scripts/lib/chroot/* scripts/lib/guest/*; do
        name=${script##*/}
        [ -x "$script" ]
        expect 0 "$script" --help
        grep -qE "^usage: $name( |\$)" "$work/stdout"
        case $name in
        coverage | fuzz-host | initramfs | module-name) continue ;;
        esac
        got=0
        "$script" >"$work/stdout" 2>"$work/stderr" </dev/null || got=$?
        [ "$got" -ne 0 ]
        grep -q . "$work/stderr"
    done
    for script in scripts/lib/chroot/*; do
        expect 0 "$script" --help
        tr '\n' ' ' <"$work/stdout" | grep -q 'Runs in the build chroot'
    done
    for file in scripts/lib/*.*; do
        [ ! -x "$file" ]
        head -n 15 "$file" | grep -q '^# [A-Z]'
    done
}

# The progress line is updated in place on a terminal, and not on one that cannot clear a line.
progress_line() {
    printf '%s\n' "prog=step lib=$PWD/scripts/lib" "say() { echo \"\$prog: \$*\" >&2; }" \
        ". \"\$lib/progress.sh\"" 'begin_step working; sleep 2; end_step' >"$work/step"
    escape=$(printf '\033')
    for terminal in vt100 dumb; do
        TERM=$terminal script --quiet --return --command "sh -eu $work/step" /dev/null \
            </dev/null >"$work/$terminal"
        tail -n 1 "$work/$terminal" | grep -q 'step: working, [1-9][0-9]* s'
    done
    grep -q "${escape}\[K" "$work/vt100"
    not grep -q "$escape" "$work/dumb"
}
