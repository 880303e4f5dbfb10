package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/ui"
)

// maxOwnPrices bounds the operator's file, in bytes.
const maxOwnPrices = 8 << 20

// addPrices piles the lists of prices that hold here; see docs/prices.md.
func (m *models) addPrices() {
	m.prices = llm.BuiltinPrices()
	if source, ok := priceSource(m.getenv); ok {
		m.prices, m.stale = source.Apply(m.prices)
	}
	file := m.getenv("MGX_PRICES")
	if file == "" {
		return
	}
	own, err := withOwnPrices(m.prices, file)
	if err != nil {
		m.trouble = cmp.Or(m.trouble, err)
		return
	}
	m.prices = own
}

func withOwnPrices(p *llm.Prices, file string) (*llm.Prices, error) {
	info, err := os.Stat(file) // before reading, which would wait on a pipe
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxOwnPrices) {
		err = fmt.Errorf("it is not a file of at most %d MB", maxOwnPrices>>20)
	}
	var data []byte
	if err == nil {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, mgx.Errorf(mgx.KindConfig, "bad_prices", "the prices in %s cannot be used: %w", file, err)
	}
	return p.WithOperator(file, data)
}

// priceSource is where the setting prices-url says, if it says anything.
func priceSource(getenv func(string) string) (llm.PriceSource, bool) {
	address := getenv("MGX_PRICES_URL")
	return llm.PriceSource{URL: address, File: filepath.Join(getenv("MGX_DATA"), "prices.json")}, address != ""
}

func (c *cli) pricesCommand() *cobra.Command {
	var refresh bool
	cmd := &cobra.Command{
		Use:   "prices [TEXT]",
		Short: "Say which lists of prices hold here, and what models whose name has TEXT cost",
		Long: `Says which lists of prices hold here, the one that has the last word first: the file
of the setting prices, what was fetched from the address of the setting prices-url, and
the list that mgx came with. With TEXT it lists the models that have it in their name.

With --refresh it fetches the list from that address first. One that would change the
price of a known model more than tenfold, or lacks a price, is refused.
See docs/prices.md.`,
		Example: `  mgx models prices gpt-5
  MGX_PRICES_URL=https://example.com/prices.json mgx models prices --refresh`,
		Args: optionalArg("a part of models' names"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if refresh {
				if err := c.refreshPrices(cmd.Context()); err != nil {
					return err
				}
			}
			return c.showPrices(strings.Join(args, ""))
		},
	}
	cmd.Flags().BoolVar(&refresh, "refresh", false, "fetch the list of the setting prices-url first")
	return cmd
}

func (c *cli) refreshPrices(ctx context.Context) error {
	source, ok := priceSource(c.getenv)
	if !ok {
		return mgx.Errorf(mgx.KindConfig, "no_prices_url", "there is no address to fetch prices from; set prices-url in the configuration, or MGX_PRICES_URL")
	}
	if err := os.MkdirAll(filepath.Dir(source.File), 0o700); err != nil {
		return dataError(filepath.Dir(source.File), err)
	}
	changed, err := source.Refresh(ctx, llm.BuiltinPrices())
	if err != nil {
		return err
	}
	if changed {
		fmt.Fprintln(c.err, "The prices were fetched and hold from now on.")
	} else {
		fmt.Fprintln(c.err, "The prices are still the same.")
	}
	return nil
}

func (c *cli) showPrices(text string) error {
	m := newModels(c.getenv, nil)
	if m.trouble != nil {
		return m.trouble
	}
	if m.stale != nil {
		fmt.Fprintf(c.err, "%s\n", mgx.AsError(m.stale).Message)
	}
	if text != "" {
		return c.showPricesOf(m.pricesOf(m.found), text)
	}
	source, _ := priceSource(c.getenv)
	for _, l := range m.prices.Layers() {
		if c.json {
			printJSON(c, l)
			continue
		}
		c.printf("%-9s %s: %d models\n", l.Name, ui.Text(cmp.Or(l.Version, "-")), l.Models)
		if l.Effective != "" {
			c.printf("          prices of %s\n", ui.Text(l.Effective))
		}
		if l.Name == llm.LayerRefresh {
			c.printf("          fetched or confirmed at %s\n", source.FetchedAt().Format(time.RFC3339))
		}
		c.printf("          %s\n          sha256 %s\n", ui.Text(cmp.Or(l.Source, "(it does not say where it is from)")), l.SHA256)
	}
	return nil
}

// showPricesOf lists models by a part of their names.
func (c *cli) showPricesOf(prices *llm.Prices, text string) error {
	found := false
	for _, name := range slices.Concat(prices.Names(), prices.Patterns()) {
		if !strings.Contains(name, strings.ToLower(text)) {
			continue
		}
		provider, model, _ := strings.Cut(name, "/")
		p, known := prices.Lookup(provider, model)
		if !known {
			continue // a pattern that does not match itself
		}
		found = true
		if c.json {
			printJSON(c, priceRow(name, p))
			continue
		}
		c.printf("%-48s %s in, %s out, %s cached, %s written to the cache\n", ui.Text(name), dollars(p.Input), dollars(p.Output), dollars(p.Cached), dollars(p.CacheWrite))
		if p.LongAbove > 0 {
			c.printf("%-48s %s in, %s out above %s tokens\n", "", dollars(p.Long.Input), dollars(p.Long.Output), ui.Tokens(p.LongAbove))
		}
		c.printf("    window %s, answers %s; %s; %s\n", tokensOr(p.ContextWindow), tokensOr(p.MaxOutput), cmp.Or(strings.Join(p.Capabilities, ", "), "abilities unknown"), ui.Text(p.Version))
	}
	if !found {
		return usage("not_found", "no list of prices names a model with %q in it", text)
	}
	return nil
}

// dollars writes an amount with all its digits.
func dollars(m mgx.Money) string { return "$" + strconv.FormatFloat(m.Dollars(), 'f', -1, 64) }

func tokensOr(n int) string {
	if n == 0 {
		return "unknown"
	}
	return ui.Tokens(int64(n))
}

func priceRow(name string, p llm.Price) map[string]any {
	row := map[string]any{
		"model": name, "version": p.Version, "input_usd_per_million": p.Input, "output_usd_per_million": p.Output,
		"cached_usd_per_million": p.Cached, "cache_write_usd_per_million": p.CacheWrite,
		"context_window": p.ContextWindow, "max_output": p.MaxOutput, "capabilities": p.Capabilities,
	}
	if p.LongAbove > 0 {
		row["long_above_tokens"], row["long_input_usd_per_million"], row["long_output_usd_per_million"] = p.LongAbove, p.Long.Input, p.Long.Output
	}
	return row
}
