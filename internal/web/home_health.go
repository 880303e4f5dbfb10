package web

// homeHealth is how the server stands, in a line: whether it can do its work for
// everybody, and the rest for those who keep it.
type homeHealth struct {
	Health
	Keeper bool
	Failed []HealthCheck // what does not work, or barely
}

// fillHealth asks the server how it stands.
func fillHealth(v *visit, d *homePage) error {
	o := v.site.o.Settings
	if o == nil || o.Health == nil {
		return nil
	}
	now, err := o.Health(v.Context())
	if err != nil {
		return err
	}
	d.Health = &homeHealth{Health: now, Keeper: v.meets(need{action: "read", kind: "settings", installation: true})}
	for _, c := range now.Checks {
		if c.Status != "ok" {
			d.Health.Failed = append(d.Health.Failed, c)
		}
	}
	return nil
}
