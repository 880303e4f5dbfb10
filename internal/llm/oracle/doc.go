// Package oracle holds our wire dialects, and those that the gateway speaks, against the official SDKs of OpenAI and
// Anthropic. It is a module of its own, so that they are no dependencies of mgx:
// scripts/gotest.sh runs its tests with all others.
package oracle
