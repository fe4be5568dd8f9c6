# bash completion for pen and penctl.
# Generated from the verb table in internal/config by
# `go generate ./...`

# The functions _pen_KIND add what can stand at a place to COMPREPLY. They see
# the variables of their caller: cur, the word that is begun, and words.

_pen_none() { :; }
_pen_words() { mapfile -t COMPREPLY < <(compgen -W "$*" -- "$cur"); }
_pen_file() {
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -f -- "$cur")
}
_pen_dir() {
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -d -- "$cur")
}
_pen_user() { mapfile -t COMPREPLY < <(compgen -u -- "$cur"); }
_pen_list() { _pen_words 0 1 2 3 4 5 6 7 8 9; }
_pen_command() { _pen_words{{range .Commands}} {{.Name}}{{end}}; }
_pen_host() { mapfile -t COMPREPLY < <(compgen -A hostname -- "$cur"); }

# What a running Pen says is not trusted: words of other characters are left
# out, since the shell would expand them.
_penctl_slot() { _pen_words "$(_penctl_servers 1)"; }
_penctl_host() { _pen_words "$(_penctl_servers 3)"; }
_penctl_servers() { # FIELD
	penctl "${words[1]}" servers 2>/dev/null </dev/null |
		awk -v f="$1" '$2 == "addr" && $f ~ /^[0-9A-Za-z.:\/_-]+$/ { print $f }'
}

# Words are split at spaces only: bash itself would split an address at its
# colons, and an option from its value.
_pen_split() {
	read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
	[[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && words+=("")
	cur=${words[-1]}
	COMPREPLY=()
}

# bash replaces what stands behind the last colon.
_pen_colons() {
	if [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]]; then
		COMPREPLY=("${COMPREPLY[@]#"${cur%:*}:"}")
	fi
}

_pen() {
	local words cur
	_pen_split
	local option=${words[-2]}
	if [[ $cur == --*=* ]]; then
		option=${cur%%=*} cur=${cur#*=}
	fi
	case $option in
{{- range .OptionArgs}}
	{{join .At "|"}}) _pen_{{.Kind}}{{range .Words}} {{.}}{{end}} ;;
{{- end}}
	*)
		if [[ $cur == -* ]]; then
			_pen_words{{range .Options}} {{join .At " "}}{{end}}
		else
			_pen_file
		fi
		;;
	esac
	_pen_colons
}

_penctl() {
	local words cur
	_pen_split
	local n=$((${#words[@]} - 1)) first=2 # the place of the word that is begun, and of the command
	if ((n == 1)); then
		_pen_file
		_pen_colons
		return
	fi
	if [[ ${words[2]} == no ]] && ((n > 2)); then
		first=3
	fi
	case $((n - first)):$first in
	0:2) _pen_words no{{range .Commands}} {{.Name}}{{end}} ;;
	0:3) _pen_words{{range .Commands}}{{if .Negatable}} {{.Name}}{{end}}{{end}} ;;
	1:3) [[ ${words[3]} == acl ]] && _pen_list ;;
	*:2) _penctl_argument "${words[2]}" $((n - 2)) ;;
	esac
	_pen_colons
}

_penctl_argument() { # COMMAND PLACE
	case $1:$2 in
	server:1) _penctl_slot ;;
	server:2) _pen_words{{range .Keys}} {{.}}{{end}} remove ;;
	server:*)
		case $(($2 % 2)):${words[-2]} in
		0:*) _pen_words{{range .Keys}} {{.}}{{end}} ;;
		1:acl) _pen_list ;;
		1:address) _penctl_host ;;
		esac
		;;
{{- range .CommandArgs}}
	{{join .At "|"}}) {{if or (eq .Kind "host") (eq .Kind "slot")}}_penctl{{else}}_pen{{end}}_{{.Kind}}{{range .Words}} {{.}}{{end}} ;;
{{- end}}
	esac
}

complete -F _pen pen
complete -F _penctl penctl
