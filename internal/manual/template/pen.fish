# fish completion for pen and penctl.
# Generated from the verb table in internal/config by
# `go generate ./...`

{{range .Options -}}
complete -c pen {{if .Short}}-s {{.Short}} {{end}}-l {{.Long}}{{if .Args}}{{if eq .Kind "file"}} -r -F{{else}} -x -a '(__pen_{{.Kind}}{{range .Words}} {{.}}{{end}})'{{end}}{{end}} -d {{fishquote .Help}}
{{end}}
# The functions __pen_KIND print what can stand at a place.

function __pen_none
end

function __pen_words
	printf '%s\n' $argv
end

function __pen_file
	__fish_complete_path (commandline -ct)
end

function __pen_dir
	__fish_complete_directories (commandline -ct) ''
end

function __pen_user
	__fish_complete_users
end

function __pen_host
	__fish_print_hostnames
end

function __pen_list
	__pen_words 0 1 2 3 4 5 6 7 8 9
end

function __pen_command
{{- range .Commands}}
	printf '%s\t%s\n' {{.Name}} {{fishquote .Help}}
{{- end}}
end

function __pen_negatable
{{- range .Commands}}{{if .Negatable}}
	printf '%s\t%s\n' {{.Name}} {{fishquote .Help}}
{{- end}}{{end}}
end

# What a running Pen says is not trusted: words of other characters are left
# out.
function __penctl_servers # FIELD
	set -l words (commandline -opc)
	penctl $words[2] servers 2>/dev/null </dev/null | awk -v f=$argv[1] '$2 == "addr" && $f ~ /^[0-9A-Za-z.:\/_-]+$/ { print $f }'
end

function __penctl_slot
	__penctl_servers 1
end

function __penctl_host
	__penctl_servers 3
end

function __penctl
	set -l words (commandline -opc)
	set -l n (count $words) # words before the one that is begun
	if test $n -eq 1
		__pen_file
		return
	end
	if test $n -eq 2
		__pen_words no
		__pen_command
		return
	end
	if test $words[3] = no
		if test $n -eq 3
			__pen_negatable
		else if test $n -eq 4 -a $words[4] = acl
			__pen_list
		end
		return
	end
	set -l place (math $n - 2)
	switch $words[3]:$place
		case server:1
			__penctl_slot
		case server:2
			__pen_words{{range .Keys}} {{.}}{{end}} remove
		case 'server:*'
			switch (math $place % 2):$words[-1]
				case '0:*'
					__pen_words{{range .Keys}} {{.}}{{end}}
				case 1:acl
					__pen_list
				case 1:address
					__penctl_host
			end
{{- range .CommandArgs}}
		case {{join .At " "}}
			{{if or (eq .Kind "host") (eq .Kind "slot")}}__penctl{{else}}__pen{{end}}_{{.Kind}}{{range .Words}} {{.}}{{end}}
{{- end}}
	end
end

complete -c penctl -f -a '(__penctl)'
