package peers_test

import (
	"fmt"
	"os"
	"testing"

	"pen/test/internal/lab"
)

// Named checks work with real servers: a mail server, databases, a directory. MariaDB
// would block this host after the first check that breaks off a login.
func TestNamedChecks(t *testing.T) {
	p := newPeers(t)
	p.postfix(t, "127.0.1.1:25", "")
	lab.NewPostgres(t, p.place, "127.0.1.2")
	p.mariadb(t, "127.0.1.3")
	p.slapd(t, "127.0.1.4")
	p.place.Start(t, "127.0.1.5:6379", "redis-server", "--bind", "127.0.1.5", "--requirepass", "secret", "--save", "", "--dir", p.dir)
	conf := ""
	checks := []string{
		"smtp", "postgresql user postgres", "mysql", "ldap", "redis",
		"postgresql", `script expect 220 send EHLO\spen\r\n expect 250\s send QUIT\r\n expect 221`, // the same servers, by other checks
	}
	ports := []string{"127.0.1.1 port 25", "127.0.1.2 port 5432", "127.0.1.3 port 3306", "127.0.1.4 port 389", "127.0.1.5 port 6379", "127.0.1.2 port 5432", "127.0.1.1 port 25"}
	for i, c := range checks {
		conf += fmt.Sprintf("service s%d\nlisten 127.0.0.1:%d\nserver 0 address %s\ncheck %s interval 200ms timeout 10 start down\n", i, 7000+i, ports[i], c)
	}
	// And protocols that the server does not speak.
	for i, c := range []string{"redis", "mysql", "postgresql", "ldap"} {
		conf += fmt.Sprintf("service no%d\nlisten 127.0.0.1:%d\nserver 0 address 127.0.1.1 port 25\ncheck %s interval 200ms timeout 2\n", i, 7100+i, c)
	}
	p.pen(t, conf)
	for i := range checks {
		p.await(t, fmt.Sprintf("service s%d state", i), "^0 .* state up check ")
	}
	for i := range 4 {
		p.await(t, fmt.Sprintf("service no%d state", i), "^0 .* state down check ")
	}
}

// mariadb starts a MariaDB server that blocks a host after its first broken login.
func (p *peers) mariadb(t *testing.T, addr string) {
	t.Helper()
	dir := p.file("mariadb")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	out, err := p.run(t, "", "mariadb-install-db", "--no-defaults", "--datadir="+dir, "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db")
	if err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	p.place.Start(t, addr+":3306", "mariadbd", "--no-defaults", "--user=root", "--datadir="+dir, "--socket="+p.file("mariadb.sock"),
		"--bind-address="+addr, "--max-connect-errors=1")
}

// slapd starts OpenLDAP's server, without data.
func (p *peers) slapd(t *testing.T, addr string) {
	t.Helper()
	conf := p.write(t, "slapd.conf", "pidfile "+p.file("slapd.pid")+"\n")
	p.place.Start(t, addr+":389", "/usr/sbin/slapd", "-d", "0", "-h", "ldap://"+addr+":389", "-f", conf)
}
