package secret

// FileWrapper is what a ring in a file wraps with.
func FileWrapper(r *Ring) Wrapper { return fileWrapper{r.handle} }
