package manual

import (
	"strings"
	"testing"
)

func TestFill(t *testing.T) {
	parts := map[string]string{"options": "new\n", "actions": "act\n"}
	const begin, end = ".\\\" BEGIN GENERATED ", ".\\\" END GENERATED "
	for _, c := range []struct{ page, want, names, err string }{
		{"text\n", "text\n", "", ""},
		{"a\n" + begin + "options\nold\nold\n" + end + "options\nb\n", "a\n" + begin + "options\nnew\n" + end + "options\nb\n", "options", ""},
		{
			begin + "actions\n" + end + "actions\n" + begin + "options\n" + end + "options\n",
			begin + "actions\nact\n" + end + "actions\n" + begin + "options\nnew\n" + end + "options\n", "actions options", "",
		},
		{"a\n" + begin + "options\nold\n", "", "", "line 2: a comment without its counterpart"},
		{end + "options\n" + begin + "options\n", "", "", "line 1: a comment without its counterpart"},
		{begin + "options\n" + begin + "options\n", "", "", "line 1: a comment without its counterpart"},
		{begin + "options\n" + end + "actions\n", "", "", `line 1: there is no part "options", or another one ends`},
		{begin + "what\n" + end + "what\n", "", "", `line 1: there is no part "what"`},
	} {
		got, names, err := Fill(c.page, parts)
		if got != c.want || strings.Join(names, " ") != c.names || (err == nil) != (c.err == "") {
			t.Errorf("%q: got %q, %q, %v", c.page, got, names, err)
		}
		if err != nil && !strings.HasPrefix(err.Error(), c.err) {
			t.Errorf("%q: got %v, want %s", c.page, err, c.err)
		}
	}
}

func TestHelpOptions(t *testing.T) {
	const help = `usage: what [OPTION]... PORT

  -l, --log FILE                     append to FILE
  -n, --requests int                 remember so many (default 1000)
  -b, --line-buffered[=true|false]   write each line at once
      --name string                  'quoted' \ text (default "x")
      --help                         this

not an option  --really
`
	const want = `.It Fl l , Fl -log Ar FILE
Append to FILE.
.It Fl n , Fl -requests Ar INT
Remember so many.
Default: 1000.
.It Fl b , Fl -line-buffered
Write each line at once.
.It Fl -name Ar STRING
\&'quoted' \e text.
Default: x.
.It Fl -help
This.
`
	if got := HelpOptions(help); got != want {
		t.Errorf("got %s", got)
	}
}

func TestArguments(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", ""},
		{"FILE", " Ar FILE"},
		{"[TIME]", " Oo Ar TIME Oc"},
		{"[[HOST:]PORT|PATH]", " Oo Ar [HOST:]PORT | Ar PATH Oc"},
		{"N permit|deny ADDRESS[/LENGTH] [MASK]", " Ar N Cm permit | Cm deny Ar ADDRESS[/LENGTH] Oo Ar MASK Oc"},
		{"[a|b [bound FACTOR] [c]]", " Oo Cm a | Cm b Oo Cm bound Ar FACTOR Oc Oo Cm c Oc Oc"},
		{"sni PATTERN | default", " Cm sni Ar PATTERN | Cm default"},
		{"N KEY VALUE...|remove", " Ar N Ar KEY Ar VALUE... | Cm remove"},
	} {
		if got := arguments(c.args); got != c.want {
			t.Errorf("%s: got %s, want %s", c.args, got, c.want)
		}
	}
}

func TestPlaceOf(t *testing.T) {
	for _, c := range []struct{ arg, kind, words string }{
		{"N", "none", ""},
		{"FILE", "file", ""},
		{"[FILE|HOST:PORT]", "file", ""},
		{"[[HOST:]PORT|PATH]", "file", ""},
		{"HOST[:PORT[:MAX[:HARD]]]", "host", ""},
		{"[NAME]", "none", ""},
		{"[USER]", "user", ""},
		{"[tcp|udp]", "words", "tcp udp"},
		{"[within", "words", "within"},
		{"up|down|both|off", "words", "up down both off"},
		{"[MASK]|country", "words", "country"},
	} {
		p := placeOf(c.arg)
		if p.Kind != c.kind || strings.Join(p.Words, " ") != c.words {
			t.Errorf("%s: got %s %q, want %s %s", c.arg, p.Kind, p.Words, c.kind, c.words)
		}
	}
}

// Words in brackets may be left out.
func TestPlaces(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", ""},
		{"FILE", "file"},
		{"N [insert PLACE|replace] permit|deny ADDRESS", "none, words insert replace permit deny, words permit deny, words permit deny, none"},
		{"v1|v2 [each] [max BYTES]", "words v1 v2, words each max, words max, none"},
	} {
		var got []string
		for _, p := range places(c.args) {
			got = append(got, strings.Join(append([]string{p.Kind}, p.Words...), " "))
		}
		if got := strings.Join(got, ", "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.args, got, c.want)
		}
	}
}

func TestQuotes(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{quote(`a client's`), `'a client'\''s'`},
		{fishQuote(`a client's \`), `'a client\'s \\'`},
		{bracket(`[HOST:]PORT\`), `\[HOST:\]PORT\\`},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
}
