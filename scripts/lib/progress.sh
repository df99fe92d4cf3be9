# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Shows how far long work is. Sourced by common.sh, which defines say.
#
#     begin LABEL [COMMAND [ARG]...]
#     ... the work ...
#     end
#
# In between, one line on standard error says LABEL, what COMMAND prints about how
# far the work is, and the time it has taken: in place on a terminal, elsewhere a
# line at the beginning and then every 20 seconds. end leaves one line with the
# whole time. One step at a time; the line ends with the script, however that ends.

ticker=

# clear_line: takes the line off the terminal, for something else to be printed.
clear_line() {
    [ ! -t 2 ] || printf '\r\033[K' >&2
}

# The seconds since the step began.
step_seconds() {
    echo $(($(date +%s) - step_started))
}

# Prints the line, again and again. COMMAND may be a function of the script.
tick() {
    count=0
    while kill -0 "$$" 2>/dev/null; do
        far=$("$@" 2>/dev/null) || far=
        line="umsg: $step_label${far:+: $far}, $(step_seconds) s"
        if [ -t 2 ]; then
            printf '\r\033[K%.*s' "$(($(tput cols 2>/dev/null || echo 80) - 1))" "$line" >&2
        elif [ $((count % 20)) -eq 0 ] && [ "$count" -gt 0 ]; then
            printf '%s\n' "$line" >&2
        fi
        count=$((count + 1))
        # It outlives this process by a second and must not keep the caller's pipes open.
        sleep 1 >/dev/null 2>&1
    done
}

begin_step() {
    [ -t 2 ] || say "$1"
    # A hint in parentheses is said once.
    step_label=${1% (*}
    shift
    step_started=$(date +%s)
    [ $# -gt 0 ] || set -- :
    # Without the lock of this process, which would last as long as the line.
    (
        trap - EXIT HUP INT TERM
        tick "$@"
    ) >/dev/null 9>&- &
    ticker=$!
}

# stop: ends the line without a word.
stop_step() {
    [ -n "$ticker" ] || return 0
    kill "$ticker" 2>/dev/null || :
    wait "$ticker" 2>/dev/null || :
    ticker=
    clear_line
}

# end: ends the step and says how long it took.
end_step() {
    stop_step
    say "$step_label, $(step_seconds) s"
}
