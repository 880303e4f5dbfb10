package event

import "mgx"

// CheckStored holds an event of the log against the contract it was written
// under, in the version it says. An event whose data was erased is always valid.
func (r *Registry) CheckStored(e mgx.Event) error {
	if e.Erased() {
		return nil
	}
	written, err := r.find(e.Type, e.Version)
	if err != nil {
		return err
	}
	if err := checkEnvelope(e); err != nil {
		return bad(&e, err)
	}
	return written.checkData(&e)
}
