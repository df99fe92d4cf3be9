# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # the variables of common.sh
#
# Shows the progress of long steps. Sourced by common.sh.
#
#     begin_step LABEL [COMMAND [ARG]...]
#     ... the work ...
#     end_step
#
# Meanwhile one line on standard error shows LABEL, the output of COMMAND, which describes the
# progress, and the seconds since begin_step. The line is updated in place on a terminal that can clear
# a line; otherwise one line is printed at the beginning and every 20 seconds. end_step prints the total
# time. The script's end also ends the step.

ticker=

# can_update: whether a line can be updated in place: standard error is a terminal, and not one that is
# declared to print all characters, such as the shell of an editor.
can_update() {
    [ -t 2 ] && [ "${TERM:-dumb}" != dumb ]
}

# clear_line: clears the progress line, so that other text can be printed.
clear_line() {
    ! can_update || printf '\r\033[K' >&2
}

# step_seconds: the seconds since the step began.
step_seconds() {
    echo $(($(date +%s) - step_started))
}

# tick COMMAND...: prints the line every second. COMMAND may be a function of the script.
tick() {
    count=0
    while kill -0 "$$" 2>/dev/null; do
        state=$("$@" 2>/dev/null) || state=
        line="$prog: $step_label${state:+: $state}, $(step_seconds) s"
        if can_update; then
            printf '\r\033[K%.*s' "$(($(tput cols 2>/dev/null || echo 80) - 1))" "$line" >&2
        elif [ $((count % 20)) -eq 0 ] && [ "$count" -gt 0 ]; then
            printf '%s\n' "$line" >&2
        fi
        count=$((count + 1))
        # It can outlive this process by a second and must not keep the caller's pipes open.
        sleep 1 >/dev/null 2>&1
    done
}

begin_step() {
    can_update || say "$1"
    # A hint in parentheses is printed once.
    step_label=${1% (*}
    shift
    step_started=$(date +%s)
    [ $# -gt 0 ] || set -- :
    # Descriptor 9, the lock of this process, is closed, because the ticker can outlive the lock.
    (
        trap - EXIT HUP INT TERM
        tick "$@"
    ) >/dev/null 9>&- &
    ticker=$!
}

# stop_step: ends the step without printing its time.
stop_step() {
    [ -n "$ticker" ] || return 0
    kill "$ticker" 2>/dev/null || :
    wait "$ticker" 2>/dev/null || :
    ticker=
    clear_line
}

end_step() {
    stop_step
    say "$step_label, $(step_seconds) s"
}
