# bash.sh SCRIPT LINE... prints what bash, with a completion script, offers for
# each line: a word a line, and "--end--" behind the last one. COMP_WORDS is
# split as bash does.
source "$1"
for COMP_LINE in "${@:2}"; do
	COMP_POINT=${#COMP_LINE}
	mapfile -t COMP_WORDS < <(sed -E 's/([:=])/ \1 /g' <<<"$COMP_LINE" | tr -s ' ' '\n')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	spec=$(complete -p "${COMP_WORDS[0]}") || exit
	[[ $spec =~ -F\ ([^ ]+) ]] && "${BASH_REMATCH[1]}"
	printf '%s\n' "${COMPREPLY[@]}" --end--
done
