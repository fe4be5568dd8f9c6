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
_pen_command() { _pen_words abort_on_error abuse accept_proxy acl acme acme_ca acme_ca_root acme_email acme_storage agent agent_listen ascii backlog balance blacklist check chroot client_acl clients_max close conn_max connection control control_acl control_level control_token debug disable drain dummy emergency enable exit exit_enabled explain foreground geoip_db hash help http http_forwarded http_head http_trust idle_timeout idlers include keepalive limit listen log max_age mode multi_accept on_down outlier panic pending_max pid pidfile plan plane prio protocol queue rebalance recent rollback roundrobin route send_proxy server servers service services slow_start socket source ssl ssl_alpn ssl_ca_file ssl_ca_path ssl_certificate ssl_certificate_key ssl_ciphers ssl_ocsp_response ssl_option ssl_protocol ssl_require_client ssl_sni_path state status stubborn table table_file tcp_fastclose timeout tls tracking tracking_prefix transparent udp udp_per_packet udp_requests udp_responses udp_unproven user web_stats weight write; }
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
	-F|--config|--acme-ca-root|-C|--control|--geoip-db|-l|--log|-p|--pidfile|-E|--ssl|-G|--ssl-ca-file|-K|--ssl-key|--table-file|-w|--web-stats) _pen_file ;;
	-O|--command) _pen_command ;;
	-B|--abuse|-e|--emergency) _pen_host ;;
	--accept-proxy) _pen_words unix first ;;
	--acme|--acme-ca|--acme-email|--agent-listen|-q|--backlog|-b|--blacklist|-c|--clients|-x|--connections|--http-head|--http-trust|--idle-timeout|--idlers|--listen|--max-age|-m|--multi-accept|--panic|--pending|--queue|--rebalance|--slow-start|--source|--ssl-alpn|--ssl-certificate|--ssl-ciphers|--table|-t|--timeout|-T|--tracking|--tracking-prefix|--udp-requests|--udp-responses|--udp-unproven) _pen_none ;;
	--acme-storage|-j|--chroot|-A|--ssl-ca-path|--ssl-sni-path) _pen_dir ;;
	--agent) _pen_words port push off ;;
	--balance) _pen_words roundrobin leastconn p2c random hash maglev first least_time ;;
	--client-acl|--control-acl) _pen_list ;;
	--control-level|--control-token) _pen_words view operate admin ;;
	--limit) _pen_words client_conns client_rate conns rate server_rate bandwidth conn_bandwidth delay ;;
	--on-down) _pen_words keep close ;;
	--outlier) _pen_words failures resets share within max ;;
	--plane) _pen_words auto loop stream ;;
	--protocol) _pen_words tcp udp ;;
	--route) _pen_words sni alpn default ;;
	--send-proxy) _pen_words v1 v2 off ;;
	-L|--ssl-protocol) _pen_words ssl2 ssl23 ssl3 tls1 tls1.1 tls1.2 tls1.3 ;;
	--tcp-fastclose) _pen_words up down both off ;;
	--tls) _pen_words on off ;;
	-u|--user) _pen_user ;;
	*)
		if [[ $cur == -* ]]; then
			_pen_words -F --config -O --command -d --debug -B --abuse --accept-proxy --acme --acme-ca --acme-ca-root --acme-email --acme-storage --agent --agent-listen -a --ascii -q --backlog --balance -b --blacklist -j --chroot --client-acl -c --clients -x --connections -C --control --control-acl --control-level --control-token --dummy -e --emergency -X --exit -f --foreground --geoip-db -h --hash -H --http --http-forwarded --http-head --http-trust --idle-timeout --idlers --keepalive --limit --listen -l --log --max-age -m --multi-accept --on-down --outlier --panic --pending -p --pidfile --plane --prio --protocol --queue --rebalance -r --roundrobin --route --send-proxy --slow-start --source -E --ssl --ssl-alpn -G --ssl-ca-file -A --ssl-ca-path --ssl-certificate -K --ssl-key --ssl-ciphers -L --ssl-protocol -R --ssl-require-client --ssl-sni-path -s --stubborn --table --table-file --tcp-fastclose -t --timeout --tls -T --tracking --tracking-prefix --transparent -U --udp --udp-per-packet --udp-requests --udp-responses --udp-unproven -u --user -w --web-stats -W --weight -N --hash-untracked --check -V --version --help
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
	0:2) _pen_words no abort_on_error abuse accept_proxy acl acme acme_ca acme_ca_root acme_email acme_storage agent agent_listen ascii backlog balance blacklist check chroot client_acl clients_max close conn_max connection control control_acl control_level control_token debug disable drain dummy emergency enable exit exit_enabled explain foreground geoip_db hash help http http_forwarded http_head http_trust idle_timeout idlers include keepalive limit listen log max_age mode multi_accept on_down outlier panic pending_max pid pidfile plan plane prio protocol queue rebalance recent rollback roundrobin route send_proxy server servers service services slow_start socket source ssl ssl_alpn ssl_ca_file ssl_ca_path ssl_certificate ssl_certificate_key ssl_ciphers ssl_ocsp_response ssl_option ssl_protocol ssl_require_client ssl_sni_path state status stubborn table table_file tcp_fastclose timeout tls tracking tracking_prefix transparent udp udp_per_packet udp_requests udp_responses udp_unproven user web_stats weight write ;;
	0:3) _pen_words abort_on_error abuse accept_proxy acl acme acme_ca acme_ca_root acme_email acme_storage agent agent_listen ascii balance check chroot control control_level control_token dummy emergency exit_enabled foreground geoip_db hash http http_forwarded http_head http_trust keepalive limit listen log outlier pidfile prio queue roundrobin route send_proxy service source ssl ssl_alpn ssl_ca_file ssl_ca_path ssl_certificate ssl_certificate_key ssl_ciphers ssl_ocsp_response ssl_protocol ssl_require_client ssl_sni_path stubborn table table_file tcp_fastclose tls transparent udp udp_per_packet udp_responses user web_stats weight ;;
	1:3) [[ ${words[3]} == acl ]] && _pen_list ;;
	*:2) _penctl_argument "${words[2]}" $((n - 2)) ;;
	esac
	_pen_colons
}

_penctl_argument() { # COMMAND PLACE
	case $1:$2 in
	server:1) _penctl_slot ;;
	server:2) _pen_words acl address blacklist hard max name port prio send_proxy state tls tls_name weight remove ;;
	server:*)
		case $(($2 % 2)):${words[-2]} in
		0:*) _pen_words acl address blacklist hard max name port prio send_proxy state tls tls_name weight ;;
		1:acl) _pen_list ;;
		1:address) _penctl_host ;;
		esac
		;;
	abort_on_error:1|ascii:1|dummy:1|exit_enabled:1|foreground:1|hash:1|http:1|http_forwarded:1|keepalive:1|prio:1|roundrobin:1|ssl_require_client:1|stubborn:1|tls:1|transparent:1|udp:1|udp_per_packet:1|weight:1) _pen_words on off ;;
	abuse:1|emergency:1) _penctl_host ;;
	accept_proxy:1) _pen_words unix first ;;
	acl:1|client_acl:1|control_acl:1) _pen_list ;;
	acl:2) _pen_words insert replace permit deny ;;
	acl:3) _pen_words permit deny ;;
	acl:4) _pen_words permit deny country ;;
	acl:5|acl:6) _pen_words country ;;
	acme_ca_root:1|control:1|control_token:2|geoip_db:1|include:1|log:1|pidfile:1|plan:1|ssl:1|ssl_ca_file:1|ssl_certificate_key:1|ssl_ocsp_response:1|table_file:1|tls:3|tls:5|tls:7|tls:9|web_stats:1|write:1) _pen_file ;;
	acme_storage:1|chroot:1|ssl_ca_path:1|ssl_sni_path:1) _pen_dir ;;
	agent:1) _pen_words port push off ;;
	balance:1) _pen_words roundrobin leastconn p2c random hash maglev first least_time ;;
	balance:2) _pen_words bound per ;;
	balance:3|balance:5) _pen_words datagram ;;
	balance:4) _pen_words per ;;
	check:1) _pen_words tcp tls http https smtp mysql postgresql redis ldap send expect script udp dns exec off ;;
	control_level:1|control_token:1) _pen_words view operate admin ;;
	disable:1|drain:1|enable:1) _penctl_slot ;;
	drain:2) _pen_words within ;;
	help:1|service:2) _pen_command ;;
	limit:1) _pen_words client_conns client_rate conns rate server_rate bandwidth conn_bandwidth delay ;;
	on_down:1) _pen_words keep close ;;
	outlier:1) _pen_words failures resets share within max ;;
	outlier:3) _pen_words resets share within max ;;
	outlier:5) _pen_words share within max ;;
	outlier:7) _pen_words within max ;;
	outlier:9) _pen_words max ;;
	plane:1) _pen_words auto loop stream ;;
	protocol:1) _pen_words tcp udp ;;
	route:1) _pen_words sni alpn default ;;
	send_proxy:1) _pen_words v1 v2 off ;;
	send_proxy:2) _pen_words each tlvs max unique_id ;;
	send_proxy:3) _pen_words tlvs max unique_id ;;
	send_proxy:4|send_proxy:5) _pen_words max unique_id ;;
	send_proxy:6|send_proxy:7) _pen_words unique_id ;;
	ssl_option:1) _pen_words no_sslv2 no_sslv3 no_tlsv1 no_tlsv1.1 no_tlsv1.2 cipher_server_preference ;;
	ssl_protocol:1) _pen_words ssl2 ssl23 ssl3 tls1 tls1.1 tls1.2 tls1.3 ;;
	tcp_fastclose:1) _pen_words up down both off ;;
	tls:2) _pen_words name ca cert key alpn noverify ;;
	tls:4) _pen_words ca cert key alpn noverify ;;
	tls:6) _pen_words cert key alpn noverify ;;
	tls:8) _pen_words key alpn noverify ;;
	tls:10) _pen_words alpn noverify ;;
	tls:12) _pen_words noverify ;;
	user:1) _pen_user ;;
	esac
}

complete -F _pen pen
complete -F _penctl penctl
