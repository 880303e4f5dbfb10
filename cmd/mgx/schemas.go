package main

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/event"
	"mgx/internal/ui"
)

// schemas is what commands do with the contracts of events, where they work.
type schemas interface {
	Schemas(ctx context.Context) ([]client.Contract, error)
	Schema(ctx context.Context, t mgx.EventType) (client.Contract, error)
	SchemaVersion(ctx context.Context, t mgx.EventType, version string) (json.RawMessage, error)
}

func (c *cli) schemasCommand() *cobra.Command {
	var version string
	cmd := &cobra.Command{
		Use:   "schemas [TYPE]",
		Short: "List the types of events, or print the JSON Schema of one",
		Long: `Lists the types of events: the version that is written, for how many days they are kept unless
something else is set, and what they say. With TYPE it prints the JSON Schema of their data, with
--json all about the type. Without a server it is about the events of this program.`,
		Example: "  mgx events schemas task.created > task.created.json",
		Args:    optionalArg("a type of events"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := c.schemas()
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return c.showSchema(cmd.Context(), s, mgx.EventType(args[0]), version)
			}
			if version != "" {
				return usage("bad_flag", "--version goes with a type of events")
			}
			return c.listSchemas(cmd.Context(), s)
		},
	}
	cmd.Flags().StringVar(&version, "version", "", "the schema of this `version` (default: the one that is written)")
	return cmd
}

func (c *cli) schemas() (schemas, error) {
	if c.at.server != "" {
		return c.remote(c.at)
	}
	contracts, err := event.NewRegistry()
	return ownSchemas{contracts}, err
}

func (c *cli) listSchemas(ctx context.Context, s schemas) error {
	all, err := s.Schemas(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	for _, one := range all {
		c.printf("%-32s  %-6s  %5d days  %s\n", one.Type, cell(one.Version), one.RetentionDays, cell(one.Title))
	}
	return nil
}

func (c *cli) showSchema(ctx context.Context, s schemas, t mgx.EventType, version string) error {
	one, err := s.Schema(ctx, t)
	if err != nil {
		return err
	}
	if version != "" && version != one.Version {
		one.Version, one.Examples = version, nil // which are of the latest
		if one.Schema, err = s.SchemaVersion(ctx, t, version); err != nil {
			return err
		}
	}
	if c.json {
		return printJSON(c, one)
	}
	var text bytes.Buffer
	if err := json.Indent(&text, one.Schema, "", "  "); err != nil {
		return mgx.Errorf(mgx.KindConfig, client.CodeBadServer, "the schema of %s is no JSON: %w", t, err)
	}
	c.tell("%s %s: %s\n", one.Type, cell(one.Version), ui.Text(one.Description))
	_, err = c.out.Write(append(escaped(bytes.TrimSpace(text.Bytes())), '\n'))
	return err
}

// ownSchemas are those of this program.
type ownSchemas struct{ *event.Registry }

func (o ownSchemas) Schemas(context.Context) (all []client.Contract, err error) {
	for _, t := range o.Types() {
		all = append(all, contractOf(t))
	}
	return all, nil
}

func (o ownSchemas) Schema(_ context.Context, typ mgx.EventType) (client.Contract, error) {
	t, found := o.Type(typ)
	if !found {
		return client.Contract{}, usage(mgx.CodeNotFound, "there are no events of type %q; see: mgx events schemas", typ)
	}
	one := contractOf(t)
	one.Schema, one.Examples = t.Schema, t.Examples
	return one, nil
}

func (o ownSchemas) SchemaVersion(_ context.Context, typ mgx.EventType, version string) (json.RawMessage, error) {
	schema, found := o.Registry.Schema(typ, version)
	if !found {
		return nil, usage(mgx.CodeNotFound, "%s has no version %q; mgx events schemas %s --json lists them", typ, version, typ)
	}
	return schema, nil
}

func contractOf(t event.Type) client.Contract {
	return client.Contract{
		Type: t.Type, Version: t.Version, Versions: slices.Clone(t.Versions), Category: t.Category, Owner: t.Owner, Title: t.Title, Description: t.Description,
		RetentionDays: int(t.Retention / (24 * time.Hour)), Delivery: t.Delivery,
	}
}
