package llm

import "mgx"

// Account pays for one call. The caller makes the ids of its attempts unique.
type Account interface {
	// Reserve sets the most that an attempt can cost aside before it is made,
	// against everything that limits it, or refuses.
	Reserve(Spend) error
	// SettleNow settles an attempt that failed. The settlement of the attempt
	// that succeeded is in the Result, for the caller to commit with the answer.
	SettleNow(mgx.Settlement) error
	// Capped reports whether it is known beforehand that there is a limit. Then
	// a model whose price is unknown is not even tried.
	Capped() bool
}

// Spend is what an attempt may cost, and what for.
type Spend struct {
	ID           string    // "1", "2", …: one for each attempt of the call
	Amount       mgx.Money // the most it can cost
	Provider     string
	Model        string // as the provider names it
	Role         string // of the agent
	PriceVersion string
	PriceKnown   bool  // otherwise Amount says nothing, and only what has no limit may be spent
	Prompt       int64 // most tokens in
	MaxTokens    int64 // most tokens out
	Note         string
}
