# cargo build with a count on one line in place of hundreds of lines; warnings and errors are shown in full.
#
#   bash build.sh ARGUMENTS OF CARGO BUILD
#
# With VERBOSE=1 it is cargo build, and nothing else.
set -u -o pipefail

[ "${VERBOSE:-}" != 1 ] || exec cargo build "$@"

on_terminal=no
[ ! -t 2 ] || on_terminal=yes
count=0 all=0 shown=""

# The line with the count; elsewhere than on a terminal it is written once, and at the end.
show() {
	[ "$1" != "$shown" ] || return 0
	if [ $on_terminal = yes ]; then printf '\r\033[K%s' "$1" >&2; elif [ -z "$shown" ]; then printf '%s\n' "$1" >&2; fi
	shown=$1
}

clear_line() {
	[ $on_terminal = no ] || [ -z "$shown" ] || printf '\r\033[K' >&2
}

one() {
	local line=${1//$'\033[K'/}
	if [[ $line =~ ^[[:space:]]*Building\ \[.*\]\ +([0-9]+)/([0-9]+) ]]; then
		count=${BASH_REMATCH[1]} all=${BASH_REMATCH[2]}
		[ "$all" -eq 0 ] || show "build: $([ $on_terminal = no ] || echo "$count of ")$all steps"
	elif [[ $line =~ ^[[:space:]]*(Compiling|Downloading|Downloaded|Updating|Locking|Fresh|Finished|Adding|Blocking|Unpacking|Waiting)\  ]]; then
		said=no
	elif [[ $line =~ [^[:space:]] ]]; then
		[ $on_terminal = no ] || clear_line
		printf '%s\n' "$line" >&2
		said=yes
	elif [ $said = yes ] && [ -z "$line" ]; then
		# An empty line within a message belongs to it.
		printf '\n' >&2
	fi
}

started=$SECONDS said=no
# The last part of a pipe runs in this shell: what it has counted is known afterwards.
shopt -s lastpipe
CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=120 cargo build "$@" 2>&1 >/dev/null | {
	# Progress ends with a return, messages with a new line.
	while IFS= read -r -d $'\r' part || [ -n "$part" ]; do
		while IFS= read -r line; do one "$line"; done <<<"$part"
	done
}
code=${PIPESTATUS[0]}
clear_line
took="$(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s"
if [ "$code" -ne 0 ]; then
	echo "build: failed after $took" >&2
elif [ "$all" -ne 0 ]; then
	echo "build: $all steps in $took" >&2
fi
exit "$code"
