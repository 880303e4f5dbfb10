package mgx

// ProjectSettings are what an operator has set for one project, by the names of
// settings: what its runs begin with unless a flag or the environment says
// otherwise. They are kept in the database, never in the repository.
type ProjectSettings map[string]string
