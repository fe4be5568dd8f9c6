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
		'abort_on_error:end by SIGABRT, with a core, where an error keeps Pen from starting'
		'abuse:server for clients that the access list denies'
		'accept_proxy:proxies that must begin each connection with a PROXY header'
		'acl:add an entry to an access list, at its end'
		'acme:names to get certificates for, by ACME on this port (TLS-ALPN-01)'
		'acme_ca:the authority'\''s directory, if it is not Let'\''s Encrypt'
		'acme_ca_root:PEM file with the CAs of a private authority'\''s own certificate'
		'acme_email:address that the authority may write to'
		'acme_storage:folder for the ACME account and the certificates'
		'agent:let servers say themselves how they are'
		'agent_listen:address for servers to report to; a port alone is on 127.0.0.1'
		'ascii:with debug 3, show the communication as text, not in hexadecimal'
		'backlog:connections that may wait to be accepted; 0: as many as the kernel allows'
		'balance:how a new client'\''s server is chosen; weights count'
		'blacklist:how long a server that failed is taken out of rotation'
		'check:check whether servers work'
		'chroot:folder to make the root, once everything listens'
		'client_acl:number of the access list for clients'
		'clients_max:clients that are remembered'
		'close:close a connection'
		'conn_max:connections at a time; 0: as many as there are descriptors for'
		'connection:show a connection'\''s state'
		'control:address of the control socket; a port alone is on 127.0.0.1'
		'control_acl:number of the access list for the control socket'
		'control_level:what clients of a TCP control port may do without a token'
		'control_token:file with tokens, one a line, for a level on a TCP control port'
		'debug:more detail in the log; from 3 on all communication'
		'disable:have a server take no clients'
		'drain:stop new connections to a server'
		'dummy:answer every client with the same page, without a server'
		'emergency:servers for when no other one is available, in this order'
		'enable:have a server take clients again, after drain or disable'
		'exit:end Pen, if exit_enabled allows it'
		'exit_enabled:allow the exit command'
		'explain:show where a new connection of that client would go, and why'
		'foreground:stay in the foreground, and log to standard error'
		'geoip_db:MaxMind DB file (.mmdb) for access lists by country'
		'hash:choose a new client'\''s server by its address'
		'help:list the commands, or say what one of them does'
		'http:tell servers about the client in each HTTP request'
		'http_forwarded:with http, the Forwarded field as well'
		'http_head:with http, how large the head of a request may be, 1k to 64k'
		'http_trust:with http, clients that are proxies: their own fields are kept'
		'idle_timeout:close connections that moved nothing for so long; 0: never'
		'idlers:connections to servers that are kept ready for the next clients'
		'include:run the commands in a file, all or none of them'
		'keepalive:probe silent servers, to notice dead ones'
		'limit:bound connections (N), new ones (N/s) or bytes (such as 10M/s)'
		'listen:listen for clients at these addresses'
		'log:where to log requests: a file, or the address of penlogd'
		'max_age:close connections after this, or up to a tenth earlier; 0: never'
		'mode:show the flags by which a server is chosen'
		'multi_accept:connections to accept in one go; 0: no limit'
		'on_down:what becomes of the connections of a server that checks find down'
		'outlier:when what clients meet takes a server out of rotation'
		'panic:percentage of servers below which checks and failures are not believed'
		'pending_max:connects to servers at a time; more clients wait; 0: no limit'
		'pid:show the process id'
		'pidfile:file for the process id'
		'plan:show what reading a file would change'
		'plane:how connections are carried'
		'prio:choose the server with the lowest prio'
		'protocol:balance connections (tcp) or datagrams (udp)'
		'queue:clients that may wait when all servers are full, and how long'
		'rebalance:connections a second to close because their client belongs elsewhere'
		'recent:list the clients seen in the last 300 seconds'
		'rollback:take the last change of the configuration back, then the one before it'
		'roundrobin:do not use the client table to choose'
		'route:give connections to another service by what their TLS asks for'
		'send_proxy:begin connections to servers with a PROXY header'
		'server:set keys of a server, or of those of a range of slots'
		'servers:list the table of servers'
		'service:say that what follows in a file, or the command, is for that service'
		'services:list the services: name, addresses, servers, connections'
		'slow_start:how long a server that comes back gets less than its share'
		'socket:show the connection that a descriptor belongs to'
		'source:local address for connections to servers'
		'ssl:PEM file with a certificate: clients speak TLS to it'
		'ssl_alpn:protocols to offer to clients, the best first'
		'ssl_ca_file:PEM file with the CAs of clients, which are asked for a certificate'
		'ssl_ca_path:folder of such files'
		'ssl_certificate:one more certificate, chosen by the name that clients ask for'
		'ssl_certificate_key:PEM file with the key, if it is not in the same one'
		'ssl_ciphers:ciphers for TLS 1.2, as OpenSSL lists them'
		'ssl_ocsp_response:file with an OCSP response to staple, once it is verified'
		'ssl_option:no_tlsv1.2 wants TLS 1.3; the others apply anyway'
		'ssl_protocol:the oldest protocol that clients may use'
		'ssl_require_client:refuse clients without a certificate'
		'ssl_sni_path:folder with NAME.crt and NAME.key for each server name'
		'state:show the state of each server, and the reason for it'
		'status:show the status page'
		'stubborn:no failover: if the chosen server is not there, close'
		'table:client table to share with the services that name the same one'
		'table_file:file that keeps the client table over a restart'
		'tcp_fastclose:close a connection once its server (up) or client (down) has ended it'
		'timeout:how long a server may take to accept a connection'
		'tls:speak TLS to servers, and verify their certificates by name'
		'tracking:how long a client is remembered; 0: for ever'
		'tracking_prefix:lengths of the networks whose clients count as one'
		'transparent:connect to servers from the client'\''s address'
		'udp:balance datagrams: UDP, or those of a Unix socket'
		'udp_per_packet:choose a server for each datagram, not for each flow'
		'udp_requests:datagrams of a client after which a new flow begins; 0: never'
		'udp_responses:answers to each datagram, after which a flow is over; 0: none'
		'udp_unproven:flows of a listener that may wait for their first answer; 0: no limit'
		'user:user to run as'
		'web_stats:file for the status page, written at USR1'
		'weight:choose the server with the fewest connections for its weight'
		'write:save all settings'
	)
	_describe command commands
}

_pen_negatable() {
	local -a commands=(
		'abort_on_error:end by SIGABRT, with a core, where an error keeps Pen from starting'
		'abuse:server for clients that the access list denies'
		'accept_proxy:proxies that must begin each connection with a PROXY header'
		'acl:add an entry to an access list, at its end'
		'acme:names to get certificates for, by ACME on this port (TLS-ALPN-01)'
		'acme_ca:the authority'\''s directory, if it is not Let'\''s Encrypt'
		'acme_ca_root:PEM file with the CAs of a private authority'\''s own certificate'
		'acme_email:address that the authority may write to'
		'acme_storage:folder for the ACME account and the certificates'
		'agent:let servers say themselves how they are'
		'agent_listen:address for servers to report to; a port alone is on 127.0.0.1'
		'ascii:with debug 3, show the communication as text, not in hexadecimal'
		'balance:how a new client'\''s server is chosen; weights count'
		'check:check whether servers work'
		'chroot:folder to make the root, once everything listens'
		'control:address of the control socket; a port alone is on 127.0.0.1'
		'control_level:what clients of a TCP control port may do without a token'
		'control_token:file with tokens, one a line, for a level on a TCP control port'
		'dummy:answer every client with the same page, without a server'
		'emergency:servers for when no other one is available, in this order'
		'exit_enabled:allow the exit command'
		'foreground:stay in the foreground, and log to standard error'
		'geoip_db:MaxMind DB file (.mmdb) for access lists by country'
		'hash:choose a new client'\''s server by its address'
		'http:tell servers about the client in each HTTP request'
		'http_forwarded:with http, the Forwarded field as well'
		'http_head:with http, how large the head of a request may be, 1k to 64k'
		'http_trust:with http, clients that are proxies: their own fields are kept'
		'keepalive:probe silent servers, to notice dead ones'
		'limit:bound connections (N), new ones (N/s) or bytes (such as 10M/s)'
		'listen:listen for clients at these addresses'
		'log:where to log requests: a file, or the address of penlogd'
		'outlier:when what clients meet takes a server out of rotation'
		'pidfile:file for the process id'
		'prio:choose the server with the lowest prio'
		'queue:clients that may wait when all servers are full, and how long'
		'roundrobin:do not use the client table to choose'
		'route:give connections to another service by what their TLS asks for'
		'send_proxy:begin connections to servers with a PROXY header'
		'service:say that what follows in a file, or the command, is for that service'
		'source:local address for connections to servers'
		'ssl:PEM file with a certificate: clients speak TLS to it'
		'ssl_alpn:protocols to offer to clients, the best first'
		'ssl_ca_file:PEM file with the CAs of clients, which are asked for a certificate'
		'ssl_ca_path:folder of such files'
		'ssl_certificate:one more certificate, chosen by the name that clients ask for'
		'ssl_certificate_key:PEM file with the key, if it is not in the same one'
		'ssl_ciphers:ciphers for TLS 1.2, as OpenSSL lists them'
		'ssl_ocsp_response:file with an OCSP response to staple, once it is verified'
		'ssl_protocol:the oldest protocol that clients may use'
		'ssl_require_client:refuse clients without a certificate'
		'ssl_sni_path:folder with NAME.crt and NAME.key for each server name'
		'stubborn:no failover: if the chosen server is not there, close'
		'table:client table to share with the services that name the same one'
		'table_file:file that keeps the client table over a restart'
		'tcp_fastclose:close a connection once its server (up) or client (down) has ended it'
		'tls:speak TLS to servers, and verify their certificates by name'
		'transparent:connect to servers from the client'\''s address'
		'udp:balance datagrams: UDP, or those of a Unix socket'
		'udp_per_packet:choose a server for each datagram, not for each flow'
		'udp_responses:answers to each datagram, after which a flow is over; 0: none'
		'user:user to run as'
		'web_stats:file for the status page, written at USR1'
		'weight:choose the server with the fewest connections for its weight'
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
		'(-F --config)'{-F+,--config=}'[read commands from a file, again at HUP]:file:_pen_file' \
		'*'{-O+,--command=}'[run a command, as penctl would; -o is the same]:command:_pen_command' \
		'*'{-d,--debug}'[more detail in the log; more with each -d]' \
		'(-B --abuse)'{-B+,--abuse=}'[server for clients that the access list denies]:host:_pen_host' \
		--accept-proxy='[proxies that must begin each connection with a PROXY header]:value:(unix first)' \
		--acme='[names to get certificates for, by ACME on this port (TLS-ALPN-01)]:none:_pen_none' \
		--acme-ca='[the authority'\''s directory, if it is not Let'\''s Encrypt]:none:_pen_none' \
		--acme-ca-root='[PEM file with the CAs of a private authority'\''s own certificate]:file:_pen_file' \
		--acme-email='[address that the authority may write to]:none:_pen_none' \
		--acme-storage='[folder for the ACME account and the certificates]:dir:_pen_dir' \
		--agent='[let servers say themselves how they are]:value:(port push off)' \
		--agent-listen='[address for servers to report to; a port alone is on 127.0.0.1]:none:_pen_none' \
		'(-a --ascii)'{-a,--ascii}'[with debug 3, show the communication as text, not in hexadecimal]' \
		'(-q --backlog)'{-q+,--backlog=}'[connections that may wait to be accepted; 0: as many as the kernel allows]:none:_pen_none' \
		--balance='[how a new client'\''s server is chosen; weights count]:value:(roundrobin leastconn p2c random hash maglev first least_time)' \
		'(-b --blacklist)'{-b+,--blacklist=}'[how long a server that failed is taken out of rotation]:none:_pen_none' \
		'(-j --chroot)'{-j+,--chroot=}'[folder to make the root, once everything listens]:dir:_pen_dir' \
		--client-acl='[number of the access list for clients]:list:_pen_list' \
		'(-c --clients)'{-c+,--clients=}'[clients that are remembered]:none:_pen_none' \
		'(-x --connections)'{-x+,--connections=}'[connections at a time; 0: as many as there are descriptors for]:none:_pen_none' \
		'(-C --control)'{-C+,--control=}'[address of the control socket; a port alone is on 127.0.0.1]:file:_pen_file' \
		--control-acl='[number of the access list for the control socket]:list:_pen_list' \
		--control-level='[what clients of a TCP control port may do without a token]:value:(view operate admin)' \
		--control-token='[file with tokens, one a line, for a level on a TCP control port]:value:(view operate admin)' \
		--dummy'[answer every client with the same page, without a server]' \
		'(-e --emergency)'{-e+,--emergency=}'[servers for when no other one is available, in this order]:host:_pen_host' \
		'(-X --exit)'{-X,--exit}'[allow the exit command]' \
		'(-f --foreground)'{-f,--foreground}'[stay in the foreground, and log to standard error]' \
		--geoip-db='[MaxMind DB file (.mmdb) for access lists by country]:file:_pen_file' \
		'(-h --hash)'{-h,--hash}'[choose a new client'\''s server by its address]' \
		'(-H --http)'{-H,--http}'[tell servers about the client in each HTTP request]' \
		--http-forwarded'[with http, the Forwarded field as well]' \
		--http-head='[with http, how large the head of a request may be, 1k to 64k]:none:_pen_none' \
		--http-trust='[with http, clients that are proxies: their own fields are kept]:none:_pen_none' \
		--idle-timeout='[close connections that moved nothing for so long; 0: never]:none:_pen_none' \
		--idlers='[connections to servers that are kept ready for the next clients]:none:_pen_none' \
		--keepalive'[probe silent servers, to notice dead ones]' \
		--limit='[bound connections (N), new ones (N/s) or bytes (such as 10M/s)]:value:(client_conns client_rate conns rate server_rate bandwidth conn_bandwidth delay)' \
		--listen='[listen for clients at these addresses]:none:_pen_none' \
		'(-l --log)'{-l+,--log=}'[where to log requests: a file, or the address of penlogd]:file:_pen_file' \
		--max-age='[close connections after this, or up to a tenth earlier; 0: never]:none:_pen_none' \
		'(-m --multi-accept)'{-m+,--multi-accept=}'[connections to accept in one go; 0: no limit]:none:_pen_none' \
		--on-down='[what becomes of the connections of a server that checks find down]:value:(keep close)' \
		--outlier='[when what clients meet takes a server out of rotation]:value:(failures resets share within max)' \
		--panic='[percentage of servers below which checks and failures are not believed]:none:_pen_none' \
		--pending='[connects to servers at a time; more clients wait; 0: no limit]:none:_pen_none' \
		'(-p --pidfile)'{-p+,--pidfile=}'[file for the process id]:file:_pen_file' \
		--plane='[how connections are carried]:value:(auto loop stream)' \
		--prio'[choose the server with the lowest prio]' \
		--protocol='[balance connections (tcp) or datagrams (udp)]:value:(tcp udp)' \
		--queue='[clients that may wait when all servers are full, and how long]:none:_pen_none' \
		--rebalance='[connections a second to close because their client belongs elsewhere]:none:_pen_none' \
		'(-r --roundrobin)'{-r,--roundrobin}'[do not use the client table to choose]' \
		--route='[give connections to another service by what their TLS asks for]:value:(sni alpn default)' \
		--send-proxy='[begin connections to servers with a PROXY header]:value:(v1 v2 off)' \
		--slow-start='[how long a server that comes back gets less than its share]:none:_pen_none' \
		--source='[local address for connections to servers]:none:_pen_none' \
		'(-E --ssl)'{-E+,--ssl=}'[PEM file with a certificate: clients speak TLS to it]:file:_pen_file' \
		--ssl-alpn='[protocols to offer to clients, the best first]:none:_pen_none' \
		'(-G --ssl-ca-file)'{-G+,--ssl-ca-file=}'[PEM file with the CAs of clients, which are asked for a certificate]:file:_pen_file' \
		'(-A --ssl-ca-path)'{-A+,--ssl-ca-path=}'[folder of such files]:dir:_pen_dir' \
		--ssl-certificate='[one more certificate, chosen by the name that clients ask for]:none:_pen_none' \
		'(-K --ssl-key)'{-K+,--ssl-key=}'[PEM file with the key, if it is not in the same one]:file:_pen_file' \
		--ssl-ciphers='[ciphers for TLS 1.2, as OpenSSL lists them]:none:_pen_none' \
		'(-L --ssl-protocol)'{-L+,--ssl-protocol=}'[the oldest protocol that clients may use]:value:(ssl2 ssl23 ssl3 tls1 tls1.1 tls1.2 tls1.3)' \
		'(-R --ssl-require-client)'{-R,--ssl-require-client}'[refuse clients without a certificate]' \
		--ssl-sni-path='[folder with NAME.crt and NAME.key for each server name]:dir:_pen_dir' \
		'(-s --stubborn)'{-s,--stubborn}'[no failover: if the chosen server is not there, close]' \
		--table='[client table to share with the services that name the same one]:none:_pen_none' \
		--table-file='[file that keeps the client table over a restart]:file:_pen_file' \
		--tcp-fastclose='[close a connection once its server (up) or client (down) has ended it]:value:(up down both off)' \
		'(-t --timeout)'{-t+,--timeout=}'[how long a server may take to accept a connection]:none:_pen_none' \
		--tls='[speak TLS to servers, and verify their certificates by name]:value:(on off)' \
		'(-T --tracking)'{-T+,--tracking=}'[how long a client is remembered; 0: for ever]:none:_pen_none' \
		--tracking-prefix='[lengths of the networks whose clients count as one]:none:_pen_none' \
		--transparent'[connect to servers from the client'\''s address]' \
		'(-U --udp)'{-U,--udp}'[balance datagrams: UDP, or those of a Unix socket]' \
		--udp-per-packet'[choose a server for each datagram, not for each flow]' \
		--udp-requests='[datagrams of a client after which a new flow begins; 0: never]:none:_pen_none' \
		--udp-responses='[answers to each datagram, after which a flow is over; 0: none]:none:_pen_none' \
		--udp-unproven='[flows of a listener that may wait for their first answer; 0: no limit]:none:_pen_none' \
		'(-u --user)'{-u+,--user=}'[user to run as]:user:_pen_user' \
		'(-w --web-stats)'{-w+,--web-stats=}'[file for the status page, written at USR1]:file:_pen_file' \
		'(-W --weight)'{-W,--weight}'[choose the server with the fewest connections for its weight]' \
		'(-N --hash-untracked)'{-N,--hash-untracked}'[the same as -h -r]' \
		--check'[check the command line and its file, and end]' \
		'(-V --version)'{-V,--version}'[print the version]' \
		--help'[print this list]' \
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
	server:2) _pen_words acl address blacklist hard max name port prio send_proxy state tls tls_name weight remove ;;
	server:*)
		case $(( $2 % 2 )):$words[CURRENT-1] in
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

case $service in
penctl) _penctl ;;
*) _pen_options ;;
esac
