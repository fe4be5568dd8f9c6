package manual

import (
	"fmt"
	"strings"

	"pen/internal/config"
)

// commandsDocument is docs/commands.md: the options, and all commands by groups.
func commandsDocument() string {
	var b strings.Builder
	b.WriteString(`# Options and commands

Generated from the verb table in ` + "`internal/config`" + ` by ` + "`go generate ./...`" + `.

## Options

` + "```\n" + config.Usage() + "```" + `

## Commands

For the control socket (` + "`penctl SOCKET COMMAND`" + `), for ` + "`-O`" + `, and, a line each, for files (` + "`-F`, `include`" + `). ` + "`#`" + ` begins a comment.
Words in capitals stand for something; what is in brackets may be left out. A setting whose value is in brackets shows its value where it has none behind it.
`)
	for _, group := range config.Groups() {
		title := "\n### " + group + "\n"
		for _, v := range config.Verbs() {
			if v.Group == group {
				b.WriteString(title + entry(v))
				title = ""
			}
		}
	}
	return b.String()
}

// entry describes one command.
func entry(v config.Verb) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n#### %s\n\n```\n%s\n", v.Name, strings.TrimSpace(v.Name+" "+v.Args))
	if v.Negatable {
		fmt.Fprintf(&b, "%s\n", strings.TrimSpace("no "+v.Name+" "+v.NoArgs))
	}
	fmt.Fprintf(&b, "```\n\n%s", strings.ReplaceAll(sentence(v.Help), "\n", ""))
	if v.More != "" {
		b.WriteString(" " + v.More)
	}
	b.WriteString("\n\n")
	row := func(what, text string) {
		if text != "" {
			fmt.Fprintf(&b, "- %s: %s\n", what, text)
		}
	}
	row("Value", v.Bounds)
	row("Default", code(v.Default()))
	row("Of", v.Scope.String())
	if v.Kind == config.Setting && !v.Unused {
		row("Can be changed", v.When.String())
	}
	row("Level on the control socket", v.Level.String())
	if v.Long != "" {
		row("Option", code(strings.TrimSpace(config.Option{Short: v.Short, Long: v.Long}.String())))
	}
	if strings.Contains(v.Args, "KEY VALUE") {
		b.WriteString("- Keys:\n")
		for _, k := range config.ServerKeys() {
			fmt.Fprintf(&b, "  - %s: %s\n", code(strings.TrimSpace(k.Name+" "+k.Args)), k.Help)
		}
	}
	row("Example", code(v.Example))
	var see []string
	for _, name := range strings.Fields(v.See) {
		see = append(see, fmt.Sprintf("[%s](#%s)", name, name))
	}
	row("See also", strings.Join(see, ", "))
	return b.String()
}

// code marks a text as typed, unless it is empty.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}
