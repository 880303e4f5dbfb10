package main

import (
	"context"

	"mgx"
	"mgx/client"
	"mgx/internal/app"
)

// ownMoney is that of the data directory.
type ownMoney struct {
	*app.Budgets
	node *node
}

func (m ownMoney) keysOf(ctx context.Context) ([]mgx.APIKey, error) {
	return m.node.asOwner().Keys(ctx)
}

func (m ownMoney) runOf(ctx context.Context, name string) (mgx.RunID, error) {
	run, err := m.node.find(ctx, name)
	return run.ID, err
}

func (m ownMoney) projectOf(ctx context.Context, name string) (mgx.ProjectID, error) {
	at, err := projectAt(ctx, name)
	return at.project, err
}

func (m ownMoney) people() people { return m.node.asOwner() }

// theirMoney is that of a workspace at a server.
type theirMoney struct {
	client.Budgets
	remote *client.Client
}

func (m theirMoney) Set(ctx context.Context, b app.NewBudget) (mgx.BudgetUse, error) {
	return m.Budgets.Set(ctx, client.NewBudget(b))
}

func (m theirMoney) Each(ctx context.Context, q mgx.BudgetQuery, f func(mgx.BudgetUse) error) error {
	for u, err := range m.List(ctx, q) {
		if err == nil {
			err = f(u)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m theirMoney) EachUsage(ctx context.Context, q mgx.UsageQuery, f func(app.UsageRow) error) error {
	for row, err := range m.Usage(ctx, q) {
		if err == nil {
			err = f(row)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m theirMoney) keysOf(ctx context.Context) ([]mgx.APIKey, error) { return m.remote.Keys(ctx) }

func (m theirMoney) runOf(ctx context.Context, name string) (mgx.RunID, error) {
	return theirRuns{m.remote.Runs(), m.remote}.idOf(ctx, name)
}

func (m theirMoney) projectOf(ctx context.Context, name string) (mgx.ProjectID, error) {
	all, err := m.remote.Projects().List(ctx)
	if err != nil {
		return "", err
	}
	p, err := oneProject(all, name, "")
	return p.ID, err
}

func (m theirMoney) people() people { return m.remote }
