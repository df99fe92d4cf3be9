# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154 # the variables of the caller
#
# Fetches indexes and packages from Debian's archive for mklayer and setup-apt, which source this
# file after common.sh and cause.sh and set
#     status      the file that gets one line for each step
#     attempt     a file for the output of an attempt
# Repeats what failed for a reason that can pass. UMSG_PAUSES replaces the seconds between attempts.
#
# This file is part of the recipe of a layer (layer.sh).

refreshed=''

# progress TEXT: announces the next step.
progress() {
    printf '%s\n' "$*" >>"$status"
    printf '== %s\n' "$*"
}

# fetch COMMAND...: runs COMMAND, which downloads something, until it succeeds. apt's own retries are
# disabled, because they take minutes without a network. Fails with the kind of failure in $kind. Ends
# with status 75 if newer indexes can help.
fetch() {
    repeated=''
    for pause in ${UMSG_PAUSES:-5 20 60} ''; do
        if "$@" >"$attempt" 2>&1; then
            cat "$attempt"
            return
        fi
        cat "$attempt"
        cause_of "$attempt"
        case $kind in
        gone | step) [ "$1" != apt ] || [ -n "$refreshed" ] || exit 75 ;;
        esac
        case $kind:$pause in
        broken:?* | step:?*) ;;
        # Without a network, one repetition is enough.
        unreachable:?*) [ -z "$repeated" ] || return 1 ;;
        *) return 1 ;;
        esac
        repeated=yes
        progress "trying again in $pause s, because $cause"
        sleep "$pause"
    done
}

# update_indexes COMMAND...: reads the indexes of the archive with COMMAND, a form of apt-get. An
# index that cannot be read is left out, because the packages may not need it. If they do, their
# download fails with a message.
update_indexes() {
    refreshed=yes
    fetch "$@" update --error-on=any || [ "$kind" = step ] || [ "$kind" = gone ] || exit 1
}

# host_apt ARG...: the host's apt-get.
host_apt() {
    apt-get --quiet -o Acquire::Retries=0 -o Acquire::http::Timeout=30 "$@"
}
