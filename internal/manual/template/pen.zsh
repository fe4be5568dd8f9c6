#compdef pen penctl
# zsh completion for pen and penctl.
# Generated from the verb table in internal/config by
# `go generate ./...`

# The functions _pen_KIND add what can stand at a place.

_pen_none() { _message value; }
_pen_words() { compadd -- "$@"; }
_pen_file() { _files; }
_pen_dir() { _files -/; }
_pen_user() { _users; }
_pen_host() { _hosts; }
_pen_list() { _pen_words {0..9}; }

_pen_command() {
	local -a commands=(
{{- range .Commands}}
		{{printf "%s:%s" .Name .Help | quote}}
{{- end}}
	)
	_describe command commands
}

_pen_negatable() {
	local -a commands=(
{{- range .Commands}}{{if .Negatable}}
		{{printf "%s:%s" .Name .Help | quote}}
{{- end}}{{end}}
	)
	_describe command commands
}

# What a running Pen says is not trusted: words of other characters are left
# out.
_penctl_slot() { _pen_words ${(f)"$(_penctl_servers 1)"}; }
_penctl_host() { _pen_words ${(f)"$(_penctl_servers 3)"}; }
_penctl_servers() { # FIELD
	penctl ${(Q)words[2]} servers 2>/dev/null </dev/null |
		awk -v f=$1 '$2 == "addr" && $f ~ /^[0-9A-Za-z.:\/_-]+$/ { print $f }'
}

_pen_options() {
	_arguments -s \
{{- range .Options}}
		{{if .Repeats}}'*'{{else if .Short}}'({{join .At " "}})'{{end}}
		{{- if .Short}}{-{{.Short}}{{if .Args}}+{{end}},--{{.Long}}{{if .Args}}={{end}}}{{else}}--{{.Long}}{{if .Args}}={{end}}{{end}}
		{{- if .Words}}{{printf "[%s]:value:(%s)" (bracket .Help) (join .Words " ") | quote}}
		{{- else if .Args}}{{printf "[%s]:%s:_pen_%s" (bracket .Help) .Kind .Kind | quote}}
		{{- else}}{{printf "[%s]" (bracket .Help) | quote}}{{end}} \
{{- end}}
		'1:address to listen on:_files' \
		'*:server:_pen_server'
}

_pen_server() { _alternative 'hosts:host:_hosts' 'files:socket:_files'; }

_penctl() {
	local first=3 # the place of the command
	if (( CURRENT == 2 )); then
		_files
		return
	fi
	if [[ $words[3] == no ]] && (( CURRENT > 3 )); then
		first=4
	fi
	case $(( CURRENT - first )):$first in
	0:3)
		_pen_words no
		_pen_command
		;;
	0:4) _pen_negatable ;;
	1:4) [[ $words[4] == acl ]] && _pen_list ;;
	*:3) _penctl_argument $words[3] $(( CURRENT - 3 )) ;;
	esac
}

_penctl_argument() { # COMMAND PLACE
	case $1:$2 in
	server:1) _penctl_slot ;;
	server:2) _pen_words{{range .Keys}} {{.}}{{end}} remove ;;
	server:*)
		case $(( $2 % 2 )):$words[CURRENT-1] in
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

case $service in
penctl) _penctl ;;
*) _pen_options ;;
esac
