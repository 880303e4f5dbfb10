package api

// Paged are the parameters of a list that comes in pages. They are embedded in
// inputs.
type Paged struct {
	Limit int    `query:"limit" doc:"How many at most" minimum:"1" maximum:"500" default:"100"`
	Page  string `query:"page_token" doc:"The next_page_token of the page before" maxLength:"200"`
}

// after is the last id of the page before.
func after[ID ~string](p Paged) ID { return ID(p.Page) }

// following is the token of the page after one, which is its last id; empty: there is
// none.
func following[T any, ID ~string](all []T, p Paged, id func(T) ID) ID {
	if len(all) < p.Limit || len(all) == 0 {
		return ""
	}
	return id(all[len(all)-1])
}

// every is a list that is never null.
func every[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}
