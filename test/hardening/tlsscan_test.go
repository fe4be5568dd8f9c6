// Package hardening_test attacks Pen: TLS scanners, and HTTP requests made to be
// misunderstood. docs/hardening-tls.md has the results.
package hardening_test

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

var scanAll = flag.Bool("scan", false, "TestTLSScan with all that testssl looks at, some two minutes")

// TestTLSScan has scanners examine the TLS of a Pen with an ECDSA and an RSA
// certificate. docs/hardening-tls.md has their results.
func TestTLSScan(t *testing.T) {
	dir := t.TempDir()
	ca := testenv.NewAuthority(t, "Pen's tests")
	ca.Write(t, filepath.Join(dir, "ca.pem"))
	testenv.WritePEM(t, filepath.Join(dir, "ecdsa.pem"), ca.Issue(t, "127.0.0.1"))
	testenv.WritePEM(t, filepath.Join(dir, "rsa.pem"), ca.IssueFor(t, testenv.RSAKey(t), "127.0.0.1"))
	pen := testenv.Unused(t)
	lab.Start(t, pen, lab.Program(t, "pen"), "-f", "-r", "-H", "-E", filepath.Join(dir, "ecdsa.pem"),
		"--ssl-certificate", filepath.Join(dir, "rsa.pem"), pen, lab.Nginx(t))
	t.Run("sslscan", func(t *testing.T) {
		t.Parallel()
		sslscan(t, filepath.Join(dir, "sslscan.xml"), pen)
	})
	t.Run("testssl", func(t *testing.T) {
		t.Parallel()
		testssl(t, dir, pen)
	})
}

// The versions and cipher suites of Pen's default, as sslscan names them.
var (
	spoken = []string{"tls 1.2", "tls 1.3"}
	suites = []string{
		"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
		"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305",
		"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
	}
)

func sslscan(t *testing.T, file, addr string) {
	lab.Output(t, "sslscan", "--xml="+file, addr)
	var found struct {
		Protocols []struct {
			Type    string `xml:"type,attr"`
			Version string `xml:"version,attr"`
			Enabled int    `xml:"enabled,attr"`
		} `xml:"ssltest>protocol"`
		Renegotiation []struct {
			Supported int `xml:"supported,attr"`
		} `xml:"ssltest>renegotiation"`
		Heartbleed []struct {
			Vulnerable int `xml:"vulnerable,attr"`
		} `xml:"ssltest>heartbleed"`
		Ciphers []struct {
			Name string `xml:"cipher,attr"`
		} `xml:"ssltest>cipher"`
	}
	if err := xml.Unmarshal([]byte(lab.ReadFile(file)), &found); err != nil {
		t.Fatal(err)
	}
	var protocols, ciphers []string
	for _, p := range found.Protocols {
		if p.Enabled != 0 {
			protocols = append(protocols, p.Type+" "+p.Version)
		}
	}
	for _, c := range found.Ciphers {
		ciphers = append(ciphers, c.Name)
	}
	slices.Sort(ciphers)
	if !slices.Equal(protocols, spoken) || len(found.Protocols) < 6 {
		t.Errorf("of %d protocols %v are spoken, want %v", len(found.Protocols), protocols, spoken)
	}
	if !slices.Equal(ciphers, suites) {
		t.Errorf("the suites are %v, want %v", ciphers, suites)
	}
	if len(found.Renegotiation) != 1 || found.Renegotiation[0].Supported != 0 {
		t.Errorf("renegotiation: %v, want that it is not supported", found.Renegotiation)
	}
	for _, h := range found.Heartbleed {
		if h.Vulnerable != 0 {
			t.Error("vulnerable to Heartbleed")
		}
	}
}

// notPens are findings that do not concern Pen's TLS, by the names of testssl.sh, with
// the reason.
var notPens = map[string]string{
	"cert_revocation":  "the test's own authority has no lists of what it has revoked",
	"security_headers": "headers are the web server's, a plain nginx here",
	"engine_problem":   "Debian's OpenSSL knows no GOST",
}

// testssl requires that testssl.sh finds nothing worse than LOW.
func testssl(t *testing.T, dir, addr string) {
	file := filepath.Join(dir, "testssl.json")
	args := []string{"--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--add-ca", filepath.Join(dir, "ca.pem"), "--jsonfile", file}
	looked := []string{"SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2", "TLS1_3", "heartbleed", "CCS", "secure_renego", "secure_client_renego"}
	if *scanAll {
		looked = append(looked, "PFS", "cert_trust", "cert_chain_of_trust", "ROBOT", "CRIME_TLS", "BREACH", "POODLE_SSL", "fallback_SCSV", "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13")
	} else {
		args = append(args, "--fast", "--protocols", "--heartbleed", "--ccs-injection", "--renegotiation")
	}
	// Its exit code counts minor findings, too.
	out, err := exec.Command("testssl", append(args, addr)...).CombinedOutput()
	var findings []struct{ ID, Severity, Finding string }
	if jsonErr := json.Unmarshal([]byte(lab.ReadFile(file)), &findings); jsonErr != nil {
		t.Fatalf("testssl: %v, %v\n%s", err, jsonErr, out)
	}
	for _, f := range findings {
		// With several certificates the number of one follows the id.
		id, _, _ := strings.Cut(f.ID, " ")
		looked = slices.DeleteFunc(looked, func(s string) bool { return s == id })
		switch f.Severity {
		case "OK", "INFO", "LOW":
		default:
			if notPens[id] == "" {
				t.Errorf("testssl: %s: %s: %s", f.Severity, f.ID, f.Finding)
			}
		}
		if f.Severity != "OK" && f.Severity != "INFO" {
			t.Logf("testssl: %s: %s: %s", f.Severity, f.ID, f.Finding)
		}
	}
	if len(looked) > 0 {
		t.Errorf("testssl did not look at %v:\n%s", looked, out)
	}
}
