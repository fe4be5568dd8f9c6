package config

import "slices"

// KeepFixed takes back what c changes of a configuration that is running and that
// can't be changed any more, and reports whether there was anything: what is set at
// the start only, and in services that listen what is set before. c must own its
// services.
func (c *Config) KeepFixed(running Config) bool {
	kept := false
	for _, v := range savedVerbs {
		switch v.When {
		case AtStart:
			kept = v.restore(c, nil, &running, nil) || kept
		case BeforeUse:
			for i := range c.Services {
				if was := running.Service(c.Services[i].Name); was != nil && was.Listen != "" {
					kept = v.restore(c, &c.Services[i], &running, was) || kept
				}
			}
		}
	}
	return kept
}

// restore gives a setting the value that it had, and reports whether that was
// another one.
func (v *Verb) restore(c *Config, s *Service, was *Config, wasService *Service) bool {
	values := v.values(was, wasService)
	if slices.Equal(v.values(c, s), values) {
		return false
	}
	if v.Negatable {
		v.set(c, s, true, nil)
	}
	for _, value := range values {
		v.set(c, s, false, splitWords(value)) // it was set before, so it can be
	}
	return true
}

// Replaces reports whether one service can go on as another one: they do not
// differ in what can't be changed once a service listens.
func (s *Service) Replaces(other *Service) bool {
	return !slices.ContainsFunc(savedVerbs, func(v *Verb) bool {
		return v.When == BeforeUse && !slices.Equal(v.values(nil, s), v.values(nil, other))
	})
}
