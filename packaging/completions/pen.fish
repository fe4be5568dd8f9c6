# fish completion for pen and penctl.
# Generated from the verb table in internal/config by
# `go generate ./...`

complete -c pen -s F -l config -r -F -d 'read commands from a file, again at HUP'
complete -c pen -s O -l command -x -a '(__pen_command)' -d 'run a command, as penctl would; -o is the same'
complete -c pen -s d -l debug -d 'more detail in the log; more with each -d'
complete -c pen -s B -l abuse -x -a '(__pen_host)' -d 'server for clients that the access list denies'
complete -c pen -l accept-proxy -x -a '(__pen_words unix first)' -d 'proxies that must begin each connection with a PROXY header'
complete -c pen -l acme -x -a '(__pen_none)' -d 'names to get certificates for, by ACME on this port (TLS-ALPN-01)'
complete -c pen -l acme-ca -x -a '(__pen_none)' -d 'the authority\'s directory, if it is not Let\'s Encrypt'
complete -c pen -l acme-ca-root -r -F -d 'PEM file with the CAs of a private authority\'s own certificate'
complete -c pen -l acme-email -x -a '(__pen_none)' -d 'address that the authority may write to'
complete -c pen -l acme-storage -x -a '(__pen_dir)' -d 'folder for the ACME account and the certificates'
complete -c pen -l agent -x -a '(__pen_words port push off)' -d 'let servers say themselves how they are'
complete -c pen -l agent-listen -x -a '(__pen_none)' -d 'address for servers to report to; a port alone is on 127.0.0.1'
complete -c pen -s a -l ascii -d 'with debug 3, show the communication as text, not in hexadecimal'
complete -c pen -s q -l backlog -x -a '(__pen_none)' -d 'connections that may wait to be accepted; 0: as many as the kernel allows'
complete -c pen -l balance -x -a '(__pen_words roundrobin leastconn p2c random hash maglev first least_time)' -d 'how a new client\'s server is chosen; weights count'
complete -c pen -s b -l blacklist -x -a '(__pen_none)' -d 'how long a server that failed is taken out of rotation'
complete -c pen -s j -l chroot -x -a '(__pen_dir)' -d 'folder to make the root, once everything listens'
complete -c pen -l client-acl -x -a '(__pen_list)' -d 'number of the access list for clients'
complete -c pen -s c -l clients -x -a '(__pen_none)' -d 'clients that are remembered'
complete -c pen -s x -l connections -x -a '(__pen_none)' -d 'connections at a time; 0: as many as there are descriptors for'
complete -c pen -s C -l control -r -F -d 'address of the control socket; a port alone is on 127.0.0.1'
complete -c pen -l control-acl -x -a '(__pen_list)' -d 'number of the access list for the control socket'
complete -c pen -l control-level -x -a '(__pen_words view operate admin)' -d 'what clients of a TCP control port may do without a token'
complete -c pen -l control-token -x -a '(__pen_words view operate admin)' -d 'file with tokens, one a line, for a level on a TCP control port'
complete -c pen -l dummy -d 'answer every client with the same page, without a server'
complete -c pen -s e -l emergency -x -a '(__pen_host)' -d 'servers for when no other one is available, in this order'
complete -c pen -s X -l exit -d 'allow the exit command'
complete -c pen -s f -l foreground -d 'stay in the foreground, and log to standard error'
complete -c pen -l geoip-db -r -F -d 'MaxMind DB file (.mmdb) for access lists by country'
complete -c pen -s h -l hash -d 'choose a new client\'s server by its address'
complete -c pen -s H -l http -d 'tell servers about the client in each HTTP request'
complete -c pen -l http-forwarded -d 'with http, the Forwarded field as well'
complete -c pen -l http-head -x -a '(__pen_none)' -d 'with http, how large the head of a request may be, 1k to 64k'
complete -c pen -l http-trust -x -a '(__pen_none)' -d 'with http, clients that are proxies: their own fields are kept'
complete -c pen -l idle-timeout -x -a '(__pen_none)' -d 'close connections that moved nothing for so long; 0: never'
complete -c pen -l idlers -x -a '(__pen_none)' -d 'connections to servers that are kept ready for the next clients'
complete -c pen -l keepalive -d 'probe silent servers, to notice dead ones'
complete -c pen -l limit -x -a '(__pen_words client_conns client_rate conns rate server_rate bandwidth conn_bandwidth delay)' -d 'bound connections (N), new ones (N/s) or bytes (such as 10M/s)'
complete -c pen -l listen -x -a '(__pen_none)' -d 'listen for clients at these addresses'
complete -c pen -s l -l log -r -F -d 'where to log requests: a file, or the address of penlogd'
complete -c pen -l max-age -x -a '(__pen_none)' -d 'close connections after this, or up to a tenth earlier; 0: never'
complete -c pen -s m -l multi-accept -x -a '(__pen_none)' -d 'connections to accept in one go; 0: no limit'
complete -c pen -l on-down -x -a '(__pen_words keep close)' -d 'what becomes of the connections of a server that checks find down'
complete -c pen -l outlier -x -a '(__pen_words failures resets share within max)' -d 'when what clients meet takes a server out of rotation'
complete -c pen -l panic -x -a '(__pen_none)' -d 'percentage of servers below which checks and failures are not believed'
complete -c pen -l pending -x -a '(__pen_none)' -d 'connects to servers at a time; more clients wait; 0: no limit'
complete -c pen -s p -l pidfile -r -F -d 'file for the process id'
complete -c pen -l plane -x -a '(__pen_words auto loop stream)' -d 'how connections are carried'
complete -c pen -l prio -d 'choose the server with the lowest prio'
complete -c pen -l protocol -x -a '(__pen_words tcp udp)' -d 'balance connections (tcp) or datagrams (udp)'
complete -c pen -l queue -x -a '(__pen_none)' -d 'clients that may wait when all servers are full, and how long'
complete -c pen -l rebalance -x -a '(__pen_none)' -d 'connections a second to close because their client belongs elsewhere'
complete -c pen -s r -l roundrobin -d 'do not use the client table to choose'
complete -c pen -l route -x -a '(__pen_words sni alpn default)' -d 'give connections to another service by what their TLS asks for'
complete -c pen -l send-proxy -x -a '(__pen_words v1 v2 off)' -d 'begin connections to servers with a PROXY header'
complete -c pen -l slow-start -x -a '(__pen_none)' -d 'how long a server that comes back gets less than its share'
complete -c pen -l source -x -a '(__pen_none)' -d 'local address for connections to servers'
complete -c pen -s E -l ssl -r -F -d 'PEM file with a certificate: clients speak TLS to it'
complete -c pen -l ssl-alpn -x -a '(__pen_none)' -d 'protocols to offer to clients, the best first'
complete -c pen -s G -l ssl-ca-file -r -F -d 'PEM file with the CAs of clients, which are asked for a certificate'
complete -c pen -s A -l ssl-ca-path -x -a '(__pen_dir)' -d 'folder of such files'
complete -c pen -l ssl-certificate -x -a '(__pen_none)' -d 'one more certificate, chosen by the name that clients ask for'
complete -c pen -s K -l ssl-key -r -F -d 'PEM file with the key, if it is not in the same one'
complete -c pen -l ssl-ciphers -x -a '(__pen_none)' -d 'ciphers for TLS 1.2, as OpenSSL lists them'
complete -c pen -s L -l ssl-protocol -x -a '(__pen_words ssl2 ssl23 ssl3 tls1 tls1.1 tls1.2 tls1.3)' -d 'the oldest protocol that clients may use'
complete -c pen -s R -l ssl-require-client -d 'refuse clients without a certificate'
complete -c pen -l ssl-sni-path -x -a '(__pen_dir)' -d 'folder with NAME.crt and NAME.key for each server name'
complete -c pen -s s -l stubborn -d 'no failover: if the chosen server is not there, close'
complete -c pen -l table -x -a '(__pen_none)' -d 'client table to share with the services that name the same one'
complete -c pen -l table-file -r -F -d 'file that keeps the client table over a restart'
complete -c pen -l tcp-fastclose -x -a '(__pen_words up down both off)' -d 'close a connection once its server (up) or client (down) has ended it'
complete -c pen -s t -l timeout -x -a '(__pen_none)' -d 'how long a server may take to accept a connection'
complete -c pen -l tls -x -a '(__pen_words on off)' -d 'speak TLS to servers, and verify their certificates by name'
complete -c pen -s T -l tracking -x -a '(__pen_none)' -d 'how long a client is remembered; 0: for ever'
complete -c pen -l tracking-prefix -x -a '(__pen_none)' -d 'lengths of the networks whose clients count as one'
complete -c pen -l transparent -d 'connect to servers from the client\'s address'
complete -c pen -s U -l udp -d 'balance datagrams: UDP, or those of a Unix socket'
complete -c pen -l udp-per-packet -d 'choose a server for each datagram, not for each flow'
complete -c pen -l udp-requests -x -a '(__pen_none)' -d 'datagrams of a client after which a new flow begins; 0: never'
complete -c pen -l udp-responses -x -a '(__pen_none)' -d 'answers to each datagram, after which a flow is over; 0: none'
complete -c pen -l udp-unproven -x -a '(__pen_none)' -d 'flows of a listener that may wait for their first answer; 0: no limit'
complete -c pen -s u -l user -x -a '(__pen_user)' -d 'user to run as'
complete -c pen -s w -l web-stats -r -F -d 'file for the status page, written at USR1'
complete -c pen -s W -l weight -d 'choose the server with the fewest connections for its weight'
complete -c pen -s N -l hash-untracked -d 'the same as -h -r'
complete -c pen -l check -d 'check the command line and its file, and end'
complete -c pen -s V -l version -d 'print the version'
complete -c pen -l help -d 'print this list'

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
	printf '%s\t%s\n' abort_on_error 'end by SIGABRT, with a core, where an error keeps Pen from starting'
	printf '%s\t%s\n' abuse 'server for clients that the access list denies'
	printf '%s\t%s\n' accept_proxy 'proxies that must begin each connection with a PROXY header'
	printf '%s\t%s\n' acl 'add an entry to an access list, at its end'
	printf '%s\t%s\n' acme 'names to get certificates for, by ACME on this port (TLS-ALPN-01)'
	printf '%s\t%s\n' acme_ca 'the authority\'s directory, if it is not Let\'s Encrypt'
	printf '%s\t%s\n' acme_ca_root 'PEM file with the CAs of a private authority\'s own certificate'
	printf '%s\t%s\n' acme_email 'address that the authority may write to'
	printf '%s\t%s\n' acme_storage 'folder for the ACME account and the certificates'
	printf '%s\t%s\n' agent 'let servers say themselves how they are'
	printf '%s\t%s\n' agent_listen 'address for servers to report to; a port alone is on 127.0.0.1'
	printf '%s\t%s\n' ascii 'with debug 3, show the communication as text, not in hexadecimal'
	printf '%s\t%s\n' backlog 'connections that may wait to be accepted; 0: as many as the kernel allows'
	printf '%s\t%s\n' balance 'how a new client\'s server is chosen; weights count'
	printf '%s\t%s\n' blacklist 'how long a server that failed is taken out of rotation'
	printf '%s\t%s\n' check 'check whether servers work'
	printf '%s\t%s\n' chroot 'folder to make the root, once everything listens'
	printf '%s\t%s\n' client_acl 'number of the access list for clients'
	printf '%s\t%s\n' clients_max 'clients that are remembered'
	printf '%s\t%s\n' close 'close a connection'
	printf '%s\t%s\n' conn_max 'connections at a time; 0: as many as there are descriptors for'
	printf '%s\t%s\n' connection 'show a connection\'s state'
	printf '%s\t%s\n' control 'address of the control socket; a port alone is on 127.0.0.1'
	printf '%s\t%s\n' control_acl 'number of the access list for the control socket'
	printf '%s\t%s\n' control_level 'what clients of a TCP control port may do without a token'
	printf '%s\t%s\n' control_token 'file with tokens, one a line, for a level on a TCP control port'
	printf '%s\t%s\n' debug 'more detail in the log; from 3 on all communication'
	printf '%s\t%s\n' disable 'have a server take no clients'
	printf '%s\t%s\n' drain 'stop new connections to a server'
	printf '%s\t%s\n' dummy 'answer every client with the same page, without a server'
	printf '%s\t%s\n' emergency 'servers for when no other one is available, in this order'
	printf '%s\t%s\n' enable 'have a server take clients again, after drain or disable'
	printf '%s\t%s\n' exit 'end Pen, if exit_enabled allows it'
	printf '%s\t%s\n' exit_enabled 'allow the exit command'
	printf '%s\t%s\n' explain 'show where a new connection of that client would go, and why'
	printf '%s\t%s\n' foreground 'stay in the foreground, and log to standard error'
	printf '%s\t%s\n' geoip_db 'MaxMind DB file (.mmdb) for access lists by country'
	printf '%s\t%s\n' hash 'choose a new client\'s server by its address'
	printf '%s\t%s\n' help 'list the commands, or say what one of them does'
	printf '%s\t%s\n' http 'tell servers about the client in each HTTP request'
	printf '%s\t%s\n' http_forwarded 'with http, the Forwarded field as well'
	printf '%s\t%s\n' http_head 'with http, how large the head of a request may be, 1k to 64k'
	printf '%s\t%s\n' http_trust 'with http, clients that are proxies: their own fields are kept'
	printf '%s\t%s\n' idle_timeout 'close connections that moved nothing for so long; 0: never'
	printf '%s\t%s\n' idlers 'connections to servers that are kept ready for the next clients'
	printf '%s\t%s\n' include 'run the commands in a file, all or none of them'
	printf '%s\t%s\n' keepalive 'probe silent servers, to notice dead ones'
	printf '%s\t%s\n' limit 'bound connections (N), new ones (N/s) or bytes (such as 10M/s)'
	printf '%s\t%s\n' listen 'listen for clients at these addresses'
	printf '%s\t%s\n' log 'where to log requests: a file, or the address of penlogd'
	printf '%s\t%s\n' max_age 'close connections after this, or up to a tenth earlier; 0: never'
	printf '%s\t%s\n' mode 'show the flags by which a server is chosen'
	printf '%s\t%s\n' multi_accept 'connections to accept in one go; 0: no limit'
	printf '%s\t%s\n' on_down 'what becomes of the connections of a server that checks find down'
	printf '%s\t%s\n' outlier 'when what clients meet takes a server out of rotation'
	printf '%s\t%s\n' panic 'percentage of servers below which checks and failures are not believed'
	printf '%s\t%s\n' pending_max 'connects to servers at a time; more clients wait; 0: no limit'
	printf '%s\t%s\n' pid 'show the process id'
	printf '%s\t%s\n' pidfile 'file for the process id'
	printf '%s\t%s\n' plan 'show what reading a file would change'
	printf '%s\t%s\n' plane 'how connections are carried'
	printf '%s\t%s\n' prio 'choose the server with the lowest prio'
	printf '%s\t%s\n' protocol 'balance connections (tcp) or datagrams (udp)'
	printf '%s\t%s\n' queue 'clients that may wait when all servers are full, and how long'
	printf '%s\t%s\n' rebalance 'connections a second to close because their client belongs elsewhere'
	printf '%s\t%s\n' recent 'list the clients seen in the last 300 seconds'
	printf '%s\t%s\n' rollback 'take the last change of the configuration back, then the one before it'
	printf '%s\t%s\n' roundrobin 'do not use the client table to choose'
	printf '%s\t%s\n' route 'give connections to another service by what their TLS asks for'
	printf '%s\t%s\n' send_proxy 'begin connections to servers with a PROXY header'
	printf '%s\t%s\n' server 'set keys of a server, or of those of a range of slots'
	printf '%s\t%s\n' servers 'list the table of servers'
	printf '%s\t%s\n' service 'say that what follows in a file, or the command, is for that service'
	printf '%s\t%s\n' services 'list the services: name, addresses, servers, connections'
	printf '%s\t%s\n' slow_start 'how long a server that comes back gets less than its share'
	printf '%s\t%s\n' socket 'show the connection that a descriptor belongs to'
	printf '%s\t%s\n' source 'local address for connections to servers'
	printf '%s\t%s\n' ssl 'PEM file with a certificate: clients speak TLS to it'
	printf '%s\t%s\n' ssl_alpn 'protocols to offer to clients, the best first'
	printf '%s\t%s\n' ssl_ca_file 'PEM file with the CAs of clients, which are asked for a certificate'
	printf '%s\t%s\n' ssl_ca_path 'folder of such files'
	printf '%s\t%s\n' ssl_certificate 'one more certificate, chosen by the name that clients ask for'
	printf '%s\t%s\n' ssl_certificate_key 'PEM file with the key, if it is not in the same one'
	printf '%s\t%s\n' ssl_ciphers 'ciphers for TLS 1.2, as OpenSSL lists them'
	printf '%s\t%s\n' ssl_ocsp_response 'file with an OCSP response to staple, once it is verified'
	printf '%s\t%s\n' ssl_option 'no_tlsv1.2 wants TLS 1.3; the others apply anyway'
	printf '%s\t%s\n' ssl_protocol 'the oldest protocol that clients may use'
	printf '%s\t%s\n' ssl_require_client 'refuse clients without a certificate'
	printf '%s\t%s\n' ssl_sni_path 'folder with NAME.crt and NAME.key for each server name'
	printf '%s\t%s\n' state 'show the state of each server, and the reason for it'
	printf '%s\t%s\n' status 'show the status page'
	printf '%s\t%s\n' stubborn 'no failover: if the chosen server is not there, close'
	printf '%s\t%s\n' table 'client table to share with the services that name the same one'
	printf '%s\t%s\n' table_file 'file that keeps the client table over a restart'
	printf '%s\t%s\n' tcp_fastclose 'close a connection once its server (up) or client (down) has ended it'
	printf '%s\t%s\n' timeout 'how long a server may take to accept a connection'
	printf '%s\t%s\n' tls 'speak TLS to servers, and verify their certificates by name'
	printf '%s\t%s\n' tracking 'how long a client is remembered; 0: for ever'
	printf '%s\t%s\n' tracking_prefix 'lengths of the networks whose clients count as one'
	printf '%s\t%s\n' transparent 'connect to servers from the client\'s address'
	printf '%s\t%s\n' udp 'balance datagrams: UDP, or those of a Unix socket'
	printf '%s\t%s\n' udp_per_packet 'choose a server for each datagram, not for each flow'
	printf '%s\t%s\n' udp_requests 'datagrams of a client after which a new flow begins; 0: never'
	printf '%s\t%s\n' udp_responses 'answers to each datagram, after which a flow is over; 0: none'
	printf '%s\t%s\n' udp_unproven 'flows of a listener that may wait for their first answer; 0: no limit'
	printf '%s\t%s\n' user 'user to run as'
	printf '%s\t%s\n' web_stats 'file for the status page, written at USR1'
	printf '%s\t%s\n' weight 'choose the server with the fewest connections for its weight'
	printf '%s\t%s\n' write 'save all settings'
end

function __pen_negatable
	printf '%s\t%s\n' abort_on_error 'end by SIGABRT, with a core, where an error keeps Pen from starting'
	printf '%s\t%s\n' abuse 'server for clients that the access list denies'
	printf '%s\t%s\n' accept_proxy 'proxies that must begin each connection with a PROXY header'
	printf '%s\t%s\n' acl 'add an entry to an access list, at its end'
	printf '%s\t%s\n' acme 'names to get certificates for, by ACME on this port (TLS-ALPN-01)'
	printf '%s\t%s\n' acme_ca 'the authority\'s directory, if it is not Let\'s Encrypt'
	printf '%s\t%s\n' acme_ca_root 'PEM file with the CAs of a private authority\'s own certificate'
	printf '%s\t%s\n' acme_email 'address that the authority may write to'
	printf '%s\t%s\n' acme_storage 'folder for the ACME account and the certificates'
	printf '%s\t%s\n' agent 'let servers say themselves how they are'
	printf '%s\t%s\n' agent_listen 'address for servers to report to; a port alone is on 127.0.0.1'
	printf '%s\t%s\n' ascii 'with debug 3, show the communication as text, not in hexadecimal'
	printf '%s\t%s\n' balance 'how a new client\'s server is chosen; weights count'
	printf '%s\t%s\n' check 'check whether servers work'
	printf '%s\t%s\n' chroot 'folder to make the root, once everything listens'
	printf '%s\t%s\n' control 'address of the control socket; a port alone is on 127.0.0.1'
	printf '%s\t%s\n' control_level 'what clients of a TCP control port may do without a token'
	printf '%s\t%s\n' control_token 'file with tokens, one a line, for a level on a TCP control port'
	printf '%s\t%s\n' dummy 'answer every client with the same page, without a server'
	printf '%s\t%s\n' emergency 'servers for when no other one is available, in this order'
	printf '%s\t%s\n' exit_enabled 'allow the exit command'
	printf '%s\t%s\n' foreground 'stay in the foreground, and log to standard error'
	printf '%s\t%s\n' geoip_db 'MaxMind DB file (.mmdb) for access lists by country'
	printf '%s\t%s\n' hash 'choose a new client\'s server by its address'
	printf '%s\t%s\n' http 'tell servers about the client in each HTTP request'
	printf '%s\t%s\n' http_forwarded 'with http, the Forwarded field as well'
	printf '%s\t%s\n' http_head 'with http, how large the head of a request may be, 1k to 64k'
	printf '%s\t%s\n' http_trust 'with http, clients that are proxies: their own fields are kept'
	printf '%s\t%s\n' keepalive 'probe silent servers, to notice dead ones'
	printf '%s\t%s\n' limit 'bound connections (N), new ones (N/s) or bytes (such as 10M/s)'
	printf '%s\t%s\n' listen 'listen for clients at these addresses'
	printf '%s\t%s\n' log 'where to log requests: a file, or the address of penlogd'
	printf '%s\t%s\n' outlier 'when what clients meet takes a server out of rotation'
	printf '%s\t%s\n' pidfile 'file for the process id'
	printf '%s\t%s\n' prio 'choose the server with the lowest prio'
	printf '%s\t%s\n' queue 'clients that may wait when all servers are full, and how long'
	printf '%s\t%s\n' roundrobin 'do not use the client table to choose'
	printf '%s\t%s\n' route 'give connections to another service by what their TLS asks for'
	printf '%s\t%s\n' send_proxy 'begin connections to servers with a PROXY header'
	printf '%s\t%s\n' service 'say that what follows in a file, or the command, is for that service'
	printf '%s\t%s\n' source 'local address for connections to servers'
	printf '%s\t%s\n' ssl 'PEM file with a certificate: clients speak TLS to it'
	printf '%s\t%s\n' ssl_alpn 'protocols to offer to clients, the best first'
	printf '%s\t%s\n' ssl_ca_file 'PEM file with the CAs of clients, which are asked for a certificate'
	printf '%s\t%s\n' ssl_ca_path 'folder of such files'
	printf '%s\t%s\n' ssl_certificate 'one more certificate, chosen by the name that clients ask for'
	printf '%s\t%s\n' ssl_certificate_key 'PEM file with the key, if it is not in the same one'
	printf '%s\t%s\n' ssl_ciphers 'ciphers for TLS 1.2, as OpenSSL lists them'
	printf '%s\t%s\n' ssl_ocsp_response 'file with an OCSP response to staple, once it is verified'
	printf '%s\t%s\n' ssl_protocol 'the oldest protocol that clients may use'
	printf '%s\t%s\n' ssl_require_client 'refuse clients without a certificate'
	printf '%s\t%s\n' ssl_sni_path 'folder with NAME.crt and NAME.key for each server name'
	printf '%s\t%s\n' stubborn 'no failover: if the chosen server is not there, close'
	printf '%s\t%s\n' table 'client table to share with the services that name the same one'
	printf '%s\t%s\n' table_file 'file that keeps the client table over a restart'
	printf '%s\t%s\n' tcp_fastclose 'close a connection once its server (up) or client (down) has ended it'
	printf '%s\t%s\n' tls 'speak TLS to servers, and verify their certificates by name'
	printf '%s\t%s\n' transparent 'connect to servers from the client\'s address'
	printf '%s\t%s\n' udp 'balance datagrams: UDP, or those of a Unix socket'
	printf '%s\t%s\n' udp_per_packet 'choose a server for each datagram, not for each flow'
	printf '%s\t%s\n' udp_responses 'answers to each datagram, after which a flow is over; 0: none'
	printf '%s\t%s\n' user 'user to run as'
	printf '%s\t%s\n' web_stats 'file for the status page, written at USR1'
	printf '%s\t%s\n' weight 'choose the server with the fewest connections for its weight'
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
			__pen_words acl address blacklist hard max name port prio send_proxy state tls tls_name weight remove
		case 'server:*'
			switch (math $place % 2):$words[-1]
				case '0:*'
					__pen_words acl address blacklist hard max name port prio send_proxy state tls tls_name weight
				case 1:acl
					__pen_list
				case 1:address
					__penctl_host
			end
		case abort_on_error:1 ascii:1 dummy:1 exit_enabled:1 foreground:1 hash:1 http:1 http_forwarded:1 keepalive:1 prio:1 roundrobin:1 ssl_require_client:1 stubborn:1 tls:1 transparent:1 udp:1 udp_per_packet:1 weight:1
			__pen_words on off
		case abuse:1 emergency:1
			__penctl_host
		case accept_proxy:1
			__pen_words unix first
		case acl:1 client_acl:1 control_acl:1
			__pen_list
		case acl:2
			__pen_words insert replace permit deny
		case acl:3
			__pen_words permit deny
		case acl:4
			__pen_words permit deny country
		case acl:5 acl:6
			__pen_words country
		case acme_ca_root:1 control:1 control_token:2 geoip_db:1 include:1 log:1 pidfile:1 plan:1 ssl:1 ssl_ca_file:1 ssl_certificate_key:1 ssl_ocsp_response:1 table_file:1 tls:3 tls:5 tls:7 tls:9 web_stats:1 write:1
			__pen_file
		case acme_storage:1 chroot:1 ssl_ca_path:1 ssl_sni_path:1
			__pen_dir
		case agent:1
			__pen_words port push off
		case balance:1
			__pen_words roundrobin leastconn p2c random hash maglev first least_time
		case balance:2
			__pen_words bound per
		case balance:3 balance:5
			__pen_words datagram
		case balance:4
			__pen_words per
		case check:1
			__pen_words tcp tls http https smtp mysql postgresql redis ldap send expect script udp dns exec off
		case control_level:1 control_token:1
			__pen_words view operate admin
		case disable:1 drain:1 enable:1
			__penctl_slot
		case drain:2
			__pen_words within
		case help:1 service:2
			__pen_command
		case limit:1
			__pen_words client_conns client_rate conns rate server_rate bandwidth conn_bandwidth delay
		case on_down:1
			__pen_words keep close
		case outlier:1
			__pen_words failures resets share within max
		case outlier:3
			__pen_words resets share within max
		case outlier:5
			__pen_words share within max
		case outlier:7
			__pen_words within max
		case outlier:9
			__pen_words max
		case plane:1
			__pen_words auto loop stream
		case protocol:1
			__pen_words tcp udp
		case route:1
			__pen_words sni alpn default
		case send_proxy:1
			__pen_words v1 v2 off
		case send_proxy:2
			__pen_words each tlvs max unique_id
		case send_proxy:3
			__pen_words tlvs max unique_id
		case send_proxy:4 send_proxy:5
			__pen_words max unique_id
		case send_proxy:6 send_proxy:7
			__pen_words unique_id
		case ssl_option:1
			__pen_words no_sslv2 no_sslv3 no_tlsv1 no_tlsv1.1 no_tlsv1.2 cipher_server_preference
		case ssl_protocol:1
			__pen_words ssl2 ssl23 ssl3 tls1 tls1.1 tls1.2 tls1.3
		case tcp_fastclose:1
			__pen_words up down both off
		case tls:2
			__pen_words name ca cert key alpn noverify
		case tls:4
			__pen_words ca cert key alpn noverify
		case tls:6
			__pen_words cert key alpn noverify
		case tls:8
			__pen_words key alpn noverify
		case tls:10
			__pen_words alpn noverify
		case tls:12
			__pen_words noverify
		case user:1
			__pen_user
	end
end

complete -c penctl -f -a '(__penctl)'
