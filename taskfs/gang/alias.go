package gang

import "strings"

// Names of systems and of processors differ between those who name them. Any
// name is good; these mean the same as what Go says, which nodes say of
// themselves.
var (
	systems = map[string]string{
		"gnu/linux": "linux",
		"macosx":    "darwin",
		"macos":     "darwin",
		"osx":       "darwin",
		"nt":        "windows",
		"sunos":     "solaris",
	}
	processors = map[string]string{
		"i386":    "386",
		"i486":    "386",
		"i586":    "386",
		"i686":    "386",
		"x86":     "386",
		"x86_64":  "amd64",
		"x86-64":  "amd64",
		"x64":     "amd64",
		"aarch64": "arm64",
		"armv6l":  "arm",
		"armv7l":  "arm",
		"power":   "ppc64",
		"sparc":   "sparc64",
	}
	// shown is how Inferno's taskfs wrote the names of systems.
	shown = map[string]string{
		"darwin":  "MacOSX",
		"freebsd": "FreeBSD",
		"linux":   "Linux",
		"netbsd":  "NetBSD",
		"openbsd": "OpenBSD",
		"plan9":   "Plan9",
		"solaris": "Solaris",
		"windows": "Nt",
	}
)

// ShowOS returns the name of a system as listings have it: "Linux" of "linux".
func ShowOS(os string) string {
	if s := shown[canonical(os, systems)]; s != "" {
		return s
	}
	return os
}

// SameOS reports whether two names mean one system, SameArch whether they mean
// one processor. "" and "*" are any.
func SameOS(a, b string) bool   { return same(a, b, systems) }
func SameArch(a, b string) bool { return same(a, b, processors) }

func same(a, b string, aliases map[string]string) bool {
	return a == "" || b == "" || a == "*" || b == "*" || canonical(a, aliases) == canonical(b, aliases)
}

func canonical(name string, aliases map[string]string) string {
	name = strings.ToLower(name)
	if s := aliases[name]; s != "" {
		return s
	}
	return name
}
