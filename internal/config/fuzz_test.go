package config

import (
	"reflect"
	"strings"
	"testing"
)

// Whatever file can be read is printed as one that means the same, and its errors
// have their lines.
func FuzzFile(f *testing.F) {
	for _, text := range []string{
		"listen 80\nserver 0 address a port 81\n",
		"\xef\xbb\xbflisten 80\r\nhash\r\nservice web\r\nlisten 81\r\nserver 0-3 address b weight 0\r\nno hash",
		"acl 1 permit 10.0.0.0/8\nacl 1 insert 0 deny 10.1\nacl 2 replace permit ::1 deny country se\nno acl 1 deny 10.0.0.1",
		"service a\nservice b\nno service a\ncheck http /x interval 3\nlimit rate 3/m\nqueue 3 200ms\nsend_proxy v2 each",
		"server 3 address 0x7f.1 name web\nserver web address 0\nserver 4 remove\nemergency 127.1\nabuse [::1]:9",
		"ssl a\nssl_certificate b c\nroute sni *.a.example b\nservice b\ntls on name x noverify\nssl_option no_tlsv1.2",
		"http off\nhttp on\nbalance off\nlog off\nlisten 80 81 off\nlisten off\ntimeout 5 seconds\nno nonsense\n\x00",
		"\xff\xfel\x00",
		"tracking 1.5s\nidle_timeout 3h\noutlier failures 3 resets 2 within 1s\nagent port 3\nagent push 3",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, _, err := ReadFile(Default(), DefaultService, "f", files(map[string]string{"f": text}))
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "f:") && !strings.HasPrefix(line, "open ") {
					t.Errorf("%q: an error without its line: %q", text, line)
				}
			}
			return
		}
		printed := Print(c)
		again, run, err := ReadFile(Default(), DefaultService, "f", files(map[string]string{"f": printed}))
		if err != nil || len(run) > 0 || !reflect.DeepEqual(again, c) {
			t.Errorf("%q is printed as\n%s\nand read as %v %v\n%+v\nwant\n%+v", text, printed, run, err, again, c)
		}
		if Print(again) != printed {
			t.Errorf("printed again it differs:\n%s\n%s", printed, Print(again))
		}
	})
}
