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
		'accept_proxy:proxies that must begin each connection or datagram with a PROXY header, which says who the client is; first: only the first datagram of a flow'
		'acl:add an entry to an access list, at its end or before PLACE (from 0); replace: all at once by these entries; no acl N [ENTRY] empties it or takes one out'
		'acme:names to get certificates for, by ACME on this port (TLS-ALPN-01)'
		'acme_ca:the authority'\''s directory, if it is not Let'\''s Encrypt'
		'acme_ca_root:PEM file with who signs the authority'\''s own certificate, if it is a private one'
		'acme_email:where the authority may write to'
		'acme_storage:folder for the account and the certificates'
		'agent:let servers say themselves how they are: ask their agents (port N), or have them report to agent_listen at least so often (push TIME)'
		'agent_listen:address for servers to report to'
		'ascii:with -d -d -d, show the communication as text, not in hexadecimal'
		'backlog:connections that may wait to be accepted; 0: what the kernel allows'
		'balance:how a new client'\''s server is chosen, weights observed; with bound, hash and maglev give no server more than FACTOR of its share; per datagram, for UDP, chooses for each one'
		'blacklist:how long a failed server is left alone'
		'check:check whether servers work: tcp, tls, http PATH, https PATH, smtp, mysql, postgresql, redis, ldap, send STRING expect STRING, expect STRING, script STEPS, udp send STRING expect STRING, dns NAME, exec FILE, with options'
		'chroot:folder to make the root, once everything listens'
		'client_acl:number of the access list for clients'
		'clients_max:clients that are remembered'
		'close:end a connection'
		'conn_max:connections at a time; 0: what the descriptors allow'
		'connection:a connection'\''s state'
		'control:address of the control socket; a port alone is on 127.0.0.1'
		'control_acl:number of the access list for the control socket'
		'control_level:what clients of a TCP control port may do without a token: operate, unless there are tokens'
		'control_token:file with the tokens, one a line, that give a client of a TCP control port this level'
		'debug:more detail in the log; from 3 on all communication'
		'disable:have a server take no clients'
		'drain:have a server finish what it has and take nothing new; close what is left spread over the time'
		'dummy:answer every client with the same page, without a server'
		'emergency:servers for when no other one is there, tried in this order'
		'enable:have a server take clients again, after drain or disable'
		'exit:end Pen, if -X allows it'
		'exit_enabled:allow the exit command'
		'explain:where a new connection of that client would go, and why'
		'foreground:stay in the foreground, log to standard error'
		'geoip_db:MaxMind DB file (.mmdb) for access lists by country, read again at HUP; with -j inside of its folder'
		'hash:choose a new client'\''s server by its address'
		'help:the list of commands, or what one of them does'
		'http:tell servers about the client in each HTTP request: X-Forwarded-For, X-Forwarded-Proto'
		'http_forwarded:with http, the Forwarded field as well'
		'http_head:with http, how large the head of a request may be, 1k to 64k (1k is 1024 bytes); no http_head: 16k'
		'http_trust:with http, clients that are proxies: their own fields are kept'
		'idle_timeout:close connections that moved nothing for so long; 0: never'
		'idlers:connections to servers that are kept ready for the next clients'
		'include:run the commands in a file'
		'keepalive:probe servers that are silent, to notice dead ones'
		'limit:bound connections (N), new connections (N/s) or bytes (such as 10M/s); delay: how long clients above a rate may wait; no limit NAME takes one back'
		'listen:address for clients, or several'
		'log:where to log requests: a file, or penlogd'\''s address'
		'max_age:connections are ended after this, or up to a tenth earlier; 0: never'
		'mode:how servers are chosen'
		'multi_accept:connections to accept in one go, for planes that do'
		'on_down:what becomes of the connections of a server that checks find down'
		'outlier:when clients'\'' experience has a server left alone: failures N, resets N, within TIME, max TIME, share PERCENT'
		'panic:percent of the servers; if fewer take clients, checks and failures are not believed; 0: never'
		'pending_max:connects that may be under way at a time; more clients wait; 0: no limit'
		'pid:the process id'
		'pidfile:file for the process id'
		'plan:what reading a file would change, and how many clients would lose their server'
		'plane:how connections are carried: by event loops (Linux), or by two goroutines each; auto takes loops where there are'
		'prio:choose the server with the lowest prio'
		'protocol:what is balanced; udp is the same as -U'
		'queue:clients that may wait when all servers are full, and how long'
		'rebalance:connections a second that may be ended because their client belongs to another server; 0: none'
		'recent:clients seen in the last 300 seconds'
		'rollback:take the last change of the configuration back, then the one before it'
		'roundrobin:do not use the client table to choose'
		'route:give connections to another service by the name or protocol that their TLS asks for, without ending it; no route [sni PATTERN|...] takes it back'
		'send_proxy:begin connections to servers with a PROXY header; each: every datagram, not only the first; tlvs: with what else, of authority,alpn,unique_id,ssl,crc32c; max: of at most so many bytes (107)'
		'server:set a server'\''s, or those of a range of slots: address, port, name, max, hard, weight, prio, acl, state; blacklist it for a time'
		'servers:the table of servers'
		'service:what follows in a file, or the command, is for that service; no service NAME ends it'
		'services:the services: name, addresses, servers, connections'
		'slow_start:how long a server that comes back gets less than its share'
		'socket:the connection that a descriptor belongs to'
		'source:local address for connections to servers'
		'ssl:PEM file with a certificate: clients speak TLS to it'
		'ssl_alpn:protocols to offer to clients, the best first'
		'ssl_ca_file:PEM file with who signs certificates of clients, which are asked for one then'
		'ssl_ca_path:folder of such files'
		'ssl_certificate:one more certificate, chosen by the name that clients ask for; no ssl_certificate [CERT] takes it back'
		'ssl_certificate_key:PEM file with the key, if it is not in the same one'
		'ssl_ciphers:OpenSSL'\''s list of ciphers for TLS 1.2'
		'ssl_ocsp_response:file with an OCSP response to staple to the certificate, once it is verified'
		'ssl_option:no_tlsv1.2 wants TLS 1.3; the others hold anyway'
		'ssl_protocol:the oldest protocol: tls1.2 or tls1.3; older words are accepted, and mean tls1.2'
		'ssl_require_client:refuse clients without a certificate'
		'ssl_sni_path:folder with NAME.crt and NAME.key, and NAME.ca and NAME.ocsp if need be, for each server name'
		'state:the state of each server, and the reason for it'
		'status:the status page'
		'stubborn:no failover: if the chosen server is not there, close'
		'table:client table to share with the services that name the same one'
		'table_file:file that keeps the client table over a restart'
		'tcp_fastclose:end a connection when its server (up), its client (down) or either one (both) has ended'
		'timeout:how long a server may take to accept a connection'
		'tls:speak TLS to servers, whose certificates are verified by name'
		'tracking:how long a client is remembered; 0: for ever'
		'tracking_prefix:lengths of the networks whose clients count as one, such as 24 56'
		'transparent:connect to servers from the client'\''s address; needs routes, see docs/transparent.md'
		'udp:balance datagrams: UDP, or a Unix socket'\''s'
		'udp_per_packet:UDP: choose a server for each datagram, as balance ... per datagram does'
		'udp_requests:UDP: after so many datagrams of a client the next one begins a new flow; 0: never'
		'udp_responses:UDP: answers to each datagram; a flow that has had them is over at once; 0: there are none'
		'udp_unproven:UDP: flows of a listener that may wait for their first answer, and as many whose client has not come back after it; 0: no limit'
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
		'accept_proxy:proxies that must begin each connection or datagram with a PROXY header, which says who the client is; first: only the first datagram of a flow'
		'acl:add an entry to an access list, at its end or before PLACE (from 0); replace: all at once by these entries; no acl N [ENTRY] empties it or takes one out'
		'acme:names to get certificates for, by ACME on this port (TLS-ALPN-01)'
		'acme_ca:the authority'\''s directory, if it is not Let'\''s Encrypt'
		'acme_ca_root:PEM file with who signs the authority'\''s own certificate, if it is a private one'
		'acme_email:where the authority may write to'
		'acme_storage:folder for the account and the certificates'
		'agent:let servers say themselves how they are: ask their agents (port N), or have them report to agent_listen at least so often (push TIME)'
		'agent_listen:address for servers to report to'
		'ascii:with -d -d -d, show the communication as text, not in hexadecimal'
		'balance:how a new client'\''s server is chosen, weights observed; with bound, hash and maglev give no server more than FACTOR of its share; per datagram, for UDP, chooses for each one'
		'check:check whether servers work: tcp, tls, http PATH, https PATH, smtp, mysql, postgresql, redis, ldap, send STRING expect STRING, expect STRING, script STEPS, udp send STRING expect STRING, dns NAME, exec FILE, with options'
		'chroot:folder to make the root, once everything listens'
		'control:address of the control socket; a port alone is on 127.0.0.1'
		'control_level:what clients of a TCP control port may do without a token: operate, unless there are tokens'
		'control_token:file with the tokens, one a line, that give a client of a TCP control port this level'
		'dummy:answer every client with the same page, without a server'
		'emergency:servers for when no other one is there, tried in this order'
		'exit_enabled:allow the exit command'
		'foreground:stay in the foreground, log to standard error'
		'geoip_db:MaxMind DB file (.mmdb) for access lists by country, read again at HUP; with -j inside of its folder'
		'hash:choose a new client'\''s server by its address'
		'http:tell servers about the client in each HTTP request: X-Forwarded-For, X-Forwarded-Proto'
		'http_forwarded:with http, the Forwarded field as well'
		'http_head:with http, how large the head of a request may be, 1k to 64k (1k is 1024 bytes); no http_head: 16k'
		'http_trust:with http, clients that are proxies: their own fields are kept'
		'keepalive:probe servers that are silent, to notice dead ones'
		'limit:bound connections (N), new connections (N/s) or bytes (such as 10M/s); delay: how long clients above a rate may wait; no limit NAME takes one back'
		'listen:address for clients, or several'
		'log:where to log requests: a file, or penlogd'\''s address'
		'outlier:when clients'\'' experience has a server left alone: failures N, resets N, within TIME, max TIME, share PERCENT'
		'pidfile:file for the process id'
		'prio:choose the server with the lowest prio'
		'queue:clients that may wait when all servers are full, and how long'
		'roundrobin:do not use the client table to choose'
		'route:give connections to another service by the name or protocol that their TLS asks for, without ending it; no route [sni PATTERN|...] takes it back'
		'send_proxy:begin connections to servers with a PROXY header; each: every datagram, not only the first; tlvs: with what else, of authority,alpn,unique_id,ssl,crc32c; max: of at most so many bytes (107)'
		'service:what follows in a file, or the command, is for that service; no service NAME ends it'
		'source:local address for connections to servers'
		'ssl:PEM file with a certificate: clients speak TLS to it'
		'ssl_alpn:protocols to offer to clients, the best first'
		'ssl_ca_file:PEM file with who signs certificates of clients, which are asked for one then'
		'ssl_ca_path:folder of such files'
		'ssl_certificate:one more certificate, chosen by the name that clients ask for; no ssl_certificate [CERT] takes it back'
		'ssl_certificate_key:PEM file with the key, if it is not in the same one'
		'ssl_ciphers:OpenSSL'\''s list of ciphers for TLS 1.2'
		'ssl_ocsp_response:file with an OCSP response to staple to the certificate, once it is verified'
		'ssl_protocol:the oldest protocol: tls1.2 or tls1.3; older words are accepted, and mean tls1.2'
		'ssl_require_client:refuse clients without a certificate'
		'ssl_sni_path:folder with NAME.crt and NAME.key, and NAME.ca and NAME.ocsp if need be, for each server name'
		'stubborn:no failover: if the chosen server is not there, close'
		'table:client table to share with the services that name the same one'
		'table_file:file that keeps the client table over a restart'
		'tcp_fastclose:end a connection when its server (up), its client (down) or either one (both) has ended'
		'tls:speak TLS to servers, whose certificates are verified by name'
		'transparent:connect to servers from the client'\''s address; needs routes, see docs/transparent.md'
		'udp:balance datagrams: UDP, or a Unix socket'\''s'
		'udp_per_packet:UDP: choose a server for each datagram, as balance ... per datagram does'
		'udp_responses:UDP: answers to each datagram; a flow that has had them is over at once; 0: there are none'
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
		--accept-proxy='[proxies that must begin each connection or datagram with a PROXY header, which says who the client is; first: only the first datagram of a flow]:value:(unix first)' \
		--acme='[names to get certificates for, by ACME on this port (TLS-ALPN-01)]:none:_pen_none' \
		--acme-ca='[the authority'\''s directory, if it is not Let'\''s Encrypt]:none:_pen_none' \
		--acme-ca-root='[PEM file with who signs the authority'\''s own certificate, if it is a private one]:file:_pen_file' \
		--acme-email='[where the authority may write to]:none:_pen_none' \
		--acme-storage='[folder for the account and the certificates]:dir:_pen_dir' \
		--agent='[let servers say themselves how they are: ask their agents (port N), or have them report to agent_listen at least so often (push TIME)]:value:(port push)' \
		--agent-listen='[address for servers to report to]:none:_pen_none' \
		'(-a --ascii)'{-a,--ascii}'[with -d -d -d, show the communication as text, not in hexadecimal]' \
		'(-q --backlog)'{-q+,--backlog=}'[connections that may wait to be accepted; 0: what the kernel allows]:none:_pen_none' \
		--balance='[how a new client'\''s server is chosen, weights observed; with bound, hash and maglev give no server more than FACTOR of its share; per datagram, for UDP, chooses for each one]:value:(roundrobin leastconn p2c random hash maglev first)' \
		'(-b --blacklist)'{-b+,--blacklist=}'[how long a failed server is left alone]:none:_pen_none' \
		'(-j --chroot)'{-j+,--chroot=}'[folder to make the root, once everything listens]:dir:_pen_dir' \
		--client-acl='[number of the access list for clients]:none:_pen_none' \
		'(-c --clients)'{-c+,--clients=}'[clients that are remembered]:none:_pen_none' \
		'(-x --connections)'{-x+,--connections=}'[connections at a time; 0: what the descriptors allow]:none:_pen_none' \
		'(-C --control)'{-C+,--control=}'[address of the control socket; a port alone is on 127.0.0.1]:file:_pen_file' \
		--control-acl='[number of the access list for the control socket]:none:_pen_none' \
		--control-level='[what clients of a TCP control port may do without a token: operate, unless there are tokens]:value:(view operate admin)' \
		--control-token='[file with the tokens, one a line, that give a client of a TCP control port this level]:value:(view operate)' \
		--dummy'[answer every client with the same page, without a server]' \
		'(-e --emergency)'{-e+,--emergency=}'[servers for when no other one is there, tried in this order]:host:_pen_host' \
		'(-X --exit)'{-X,--exit}'[allow the exit command]' \
		'(-f --foreground)'{-f,--foreground}'[stay in the foreground, log to standard error]' \
		--geoip-db='[MaxMind DB file (.mmdb) for access lists by country, read again at HUP; with -j inside of its folder]:file:_pen_file' \
		'(-h --hash)'{-h,--hash}'[choose a new client'\''s server by its address]' \
		'(-H --http)'{-H,--http}'[tell servers about the client in each HTTP request: X-Forwarded-For, X-Forwarded-Proto]' \
		--http-forwarded'[with http, the Forwarded field as well]' \
		--http-head='[with http, how large the head of a request may be, 1k to 64k (1k is 1024 bytes); no http_head: 16k]:none:_pen_none' \
		--http-trust='[with http, clients that are proxies: their own fields are kept]:none:_pen_none' \
		--idle-timeout='[close connections that moved nothing for so long; 0: never]:none:_pen_none' \
		--idlers='[connections to servers that are kept ready for the next clients]:none:_pen_none' \
		--keepalive'[probe servers that are silent, to notice dead ones]' \
		--limit='[bound connections (N), new connections (N/s) or bytes (such as 10M/s); delay: how long clients above a rate may wait; no limit NAME takes one back]:value:(client_conns client_rate conns rate server_rate bandwidth conn_bandwidth)' \
		--listen='[address for clients, or several]:none:_pen_none' \
		'(-l --log)'{-l+,--log=}'[where to log requests: a file, or penlogd'\''s address]:file:_pen_file' \
		--max-age='[connections are ended after this, or up to a tenth earlier; 0: never]:none:_pen_none' \
		'(-m --multi-accept)'{-m+,--multi-accept=}'[connections to accept in one go, for planes that do]:none:_pen_none' \
		--on-down='[what becomes of the connections of a server that checks find down]:value:(keep close)' \
		--outlier='[when clients'\'' experience has a server left alone: failures N, resets N, within TIME, max TIME, share PERCENT]:none:_pen_none' \
		--panic='[percent of the servers; if fewer take clients, checks and failures are not believed; 0: never]:none:_pen_none' \
		--pending='[connects that may be under way at a time; more clients wait; 0: no limit]:none:_pen_none' \
		'(-p --pidfile)'{-p+,--pidfile=}'[file for the process id]:file:_pen_file' \
		--plane='[how connections are carried: by event loops (Linux), or by two goroutines each; auto takes loops where there are]:value:(auto loop stream)' \
		--prio'[choose the server with the lowest prio]' \
		--protocol='[what is balanced; udp is the same as -U]:value:(tcp udp)' \
		--queue='[clients that may wait when all servers are full, and how long]:none:_pen_none' \
		--rebalance='[connections a second that may be ended because their client belongs to another server; 0: none]:none:_pen_none' \
		'(-r --roundrobin)'{-r,--roundrobin}'[do not use the client table to choose]' \
		--route='[give connections to another service by the name or protocol that their TLS asks for, without ending it; no route \[sni PATTERN|...\] takes it back]:none:_pen_none' \
		--send-proxy='[begin connections to servers with a PROXY header; each: every datagram, not only the first; tlvs: with what else, of authority,alpn,unique_id,ssl,crc32c; max: of at most so many bytes (107)]:value:(v1 v2)' \
		--slow-start='[how long a server that comes back gets less than its share]:none:_pen_none' \
		--source='[local address for connections to servers]:none:_pen_none' \
		'(-E --ssl)'{-E+,--ssl=}'[PEM file with a certificate: clients speak TLS to it]:file:_pen_file' \
		--ssl-alpn='[protocols to offer to clients, the best first]:none:_pen_none' \
		'(-G --ssl-ca-file)'{-G+,--ssl-ca-file=}'[PEM file with who signs certificates of clients, which are asked for one then]:file:_pen_file' \
		'(-A --ssl-ca-path)'{-A+,--ssl-ca-path=}'[folder of such files]:dir:_pen_dir' \
		--ssl-certificate='[one more certificate, chosen by the name that clients ask for; no ssl_certificate \[CERT\] takes it back]:none:_pen_none' \
		'(-K --ssl-key)'{-K+,--ssl-key=}'[PEM file with the key, if it is not in the same one]:file:_pen_file' \
		--ssl-ciphers='[OpenSSL'\''s list of ciphers for TLS 1.2]:none:_pen_none' \
		'(-L --ssl-protocol)'{-L+,--ssl-protocol=}'[the oldest protocol: tls1.2 or tls1.3; older words are accepted, and mean tls1.2]:none:_pen_none' \
		'(-R --ssl-require-client)'{-R,--ssl-require-client}'[refuse clients without a certificate]' \
		--ssl-sni-path='[folder with NAME.crt and NAME.key, and NAME.ca and NAME.ocsp if need be, for each server name]:dir:_pen_dir' \
		'(-s --stubborn)'{-s,--stubborn}'[no failover: if the chosen server is not there, close]' \
		--table='[client table to share with the services that name the same one]:none:_pen_none' \
		--table-file='[file that keeps the client table over a restart]:file:_pen_file' \
		--tcp-fastclose='[end a connection when its server (up), its client (down) or either one (both) has ended]:value:(up down both off)' \
		'(-t --timeout)'{-t+,--timeout=}'[how long a server may take to accept a connection]:none:_pen_none' \
		--tls='[speak TLS to servers, whose certificates are verified by name]:value:(on)' \
		'(-T --tracking)'{-T+,--tracking=}'[how long a client is remembered; 0: for ever]:none:_pen_none' \
		--tracking-prefix='[lengths of the networks whose clients count as one, such as 24 56]:none:_pen_none' \
		--transparent'[connect to servers from the client'\''s address; needs routes, see docs/transparent.md]' \
		'(-U --udp)'{-U,--udp}'[balance datagrams: UDP, or a Unix socket'\''s]' \
		--udp-per-packet'[UDP: choose a server for each datagram, as balance ... per datagram does]' \
		--udp-requests='[UDP: after so many datagrams of a client the next one begins a new flow; 0: never]:none:_pen_none' \
		--udp-responses='[UDP: answers to each datagram; a flow that has had them is over at once; 0: there are none]:none:_pen_none' \
		--udp-unproven='[UDP: flows of a listener that may wait for their first answer, and as many whose client has not come back after it; 0: no limit]:none:_pen_none' \
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
	plane:1) _pen_words auto loop stream ;;
	protocol:1) _pen_words tcp udp ;;
	route:1) _pen_words sni ;;
	route:3) _pen_words alpn ;;
	route:5) _pen_words default ;;
	send_proxy:1) _pen_words v1 v2 off ;;
	send_proxy:2) _pen_words each tlvs max ;;
	send_proxy:3) _pen_words tlvs max ;;
	send_proxy:4|send_proxy:5) _pen_words max ;;
	ssl_option:1) _pen_words no_sslv2 no_sslv3 no_tlsv1 cipher_server_preference ;;
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
