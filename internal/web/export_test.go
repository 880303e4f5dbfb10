package web

// Patterns are those of all pages and actions of a console.
func Patterns(o Options) []string {
	s := &site{o: o, static: newStatic(), words: catalogue()}
	return s.mux().patterns
}
