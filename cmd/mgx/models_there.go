package main

import (
	"context"

	"mgx/client"
	"mgx/internal/app"
)

// listThere is what a server says of its models, as the use cases have it.
func listThere(ctx context.Context, m client.Models) (app.ModelList, error) {
	said, err := m.List(ctx)
	var list app.ModelList
	for _, one := range said.Models {
		list.Models = append(list.Models, app.ModelInfo{
			Capabilities: one.Capabilities, Window: one.Window, From: one.From, Health: (*app.ModelHealth)(one.Health), Input: one.Input, Local: one.Local,
			Model: one.Model, Output: one.Output, PriceKnown: one.PriceKnown, Quality: one.Quality,
		})
	}
	for _, f := range said.Failed {
		list.Failed = append(list.Failed, app.ProviderFailure(f))
	}
	for _, p := range said.Policies {
		list.Policies = append(list.Policies, app.RoutingPolicy(p))
	}
	return list, err
}
